/**
 * Shell sessions in comments and pages, so that what documents show is what happens.
 * A command is a line that begins with npx, curl, printf, cat or a `#` that asks for something
 * to be done by hand; `# → text` behind or below it is what it must print.
 */
export interface Step {
  readonly command: string;
  /** What it prints, when the session says so. */
  readonly output: string | undefined;
}

const COMMAND = /^(?:npx|curl|printf|cat|# [a-z])/;
const OUTPUT = /\s*# → (.*)$/;

export function stepsOf(session: string): Step[] {
  const steps: { command: string; output: string | undefined }[] = [];
  let hereDocument: string | undefined;
  for (const line of session.split("\n")) {
    const last = steps.at(-1);
    const continues = hereDocument !== undefined || last?.command.endsWith("\\");
    if (last !== undefined && continues) {
      last.command += `\n${line}`;
      if (line.trim() === hereDocument) hereDocument = undefined;
      continue;
    }
    const output = OUTPUT.exec(line)?.[1]?.trim();
    const command = line.replace(OUTPUT, "").trim();
    if (COMMAND.test(command)) {
      steps.push({ command, output });
      hereDocument = /<<'?(\w+)'?/.exec(command)?.[1];
    } else if (output !== undefined && last !== undefined) last.output = output;
  }
  return steps;
}

/** The commands in the comment at the head of a source file. */
export const stepsOfHeader = (source: string): Step[] =>
  stepsOf((/^\/\*\*(.*?)\*\//s.exec(source)?.[1] ?? "").replaceAll(/^ \* ?/gm, ""));

/** The `sh` blocks of a page, in order. */
export const stepsOfPage = (page: string): Step[] =>
  [...page.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, session]) => stepsOf(session!));
