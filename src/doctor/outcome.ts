/**
 * What came of an attack, in one line, and whether it is what was expected. Pure.
 *
 * `refused CODE`: its deploy or its update was refused with that code.
 * `HEARD → END`: its caller heard this, and its instance ended so. HEARD is an error's code,
 * `replied`, or a reply in quotes; END is a reason of `service_crashed`, or `lives`.
 * `HEARD → END → quarantined`: it was not started again.
 */

/** What an outcome may be: each place takes one of its words. */
interface Pattern {
  readonly places: readonly (readonly string[])[];
}

export const ARROW = " → ";
const OR = " or ";
/** Between outcomes that differ in more than one place. */
const ELSE = "; ";

export function parseOutcomes(expect: string): readonly Pattern[] {
  return expect.split(ELSE).map((outcome) => ({
    places: outcome.split(ARROW).map((place) => place.split(OR)),
  }));
}

/** Every word of an expectation, such as `deadline_exceeded`. */
export const wordsOf = (expect: string): string[] =>
  parseOutcomes(expect).flatMap(({ places }) => places.flat());

export const isExpected = (outcome: string, expect: string): boolean => {
  const came = outcome.split(ARROW);
  return parseOutcomes(expect).some(
    ({ places }) =>
      places.length === came.length && places.every((words, at) => words.includes(came[at]!)),
  );
};

/** Whether its instance may live on. */
export const mayLive = (expect: string): boolean =>
  parseOutcomes(expect).some(({ places }) => places[1]?.includes("lives") === true);

/** Whether what it replied matters, and not only that it did. */
export const namesReply = (expect: string): boolean =>
  wordsOf(expect).some((word) => word.startsWith('"'));
