/** When the kernel is under pressure (src/kernel/pressure.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  CALM_SAMPLES,
  decidePressure,
  HIGH_SAMPLES,
  highOf,
  WATCHED,
  type PressureState,
  type Readings,
  type Thresholds,
  type Watched,
} from "#kernel/pressure.ts";

const names = Object.keys(WATCHED) as Watched[];
const all = <T>(value: T): Record<Watched, T> =>
  Object.fromEntries(names.map((name) => [name, value])) as Record<Watched, T>;
const thresholds: Thresholds = all(100);
const calm: Readings = { ...all(50), disk_free_mb: 500, memory_free_mb: 500 };

const lasting = (readings: Readings) => Array.from({ length: HIGH_SAMPLES }, () => readings);

const run = (samples: readonly Readings[], limits = thresholds) => {
  let state: PressureState = {};
  return samples.map((readings) => {
    const change = decidePressure(state, readings, limits);
    state = change.state;
    return change;
  });
};

test("a value that stays beyond its threshold is told once, with the value and the threshold", () => {
  const high = { ...calm, cells: 101 };
  const changes = run([high, high, high, high]);
  expect(changes.map(({ began }) => began)).toEqual([
    [],
    [],
    [{ what: "cells", value: 101, threshold: 100 }],
    [],
  ]);
});

test("what is left is watched from below", () => {
  const change = run(lasting({ ...calm, disk_free_mb: 99 })).at(-1);
  expect(change!.began).toEqual([{ what: "disk_free_mb", value: 99, threshold: 100 }]);
});

test("pressure ends only after enough calm samples in a row", () => {
  const high = { ...calm, heap_percent: 200 };
  const nearly = { ...calm, heap_percent: 95 };
  const changes = run([...lasting(high), calm, nearly, calm, calm, calm]);
  expect(changes.map(({ ended }) => ended).slice(HIGH_SAMPLES)).toEqual([
    [],
    [],
    [],
    [],
    ["heap_percent"],
  ]);
});

test("a threshold of 0 and a reading that the machine does not give are no pressure", () => {
  const off = run(lasting({ ...calm, cells: 1e9 }), { ...thresholds, cells: 0 });
  expect(off.flatMap(({ began }) => began)).toEqual([]);
  const unread = run(lasting({ ...calm, descriptors_percent: undefined }));
  expect(unread.flatMap(({ began }) => began)).toEqual([]);
});

test("for any readings, beginnings and ends alternate and the state says which is last", () => {
  const reading = fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined });
  const readings = fc.record(all(reading)) as fc.Arbitrary<Readings>;
  fc.assert(
    fc.property(fc.array(readings, { maxLength: 40 }), (samples) => {
      const high = new Set<Watched>();
      for (const { state, began, ended } of run(samples)) {
        for (const { what } of began) {
          expect(high.has(what)).toBe(false);
          high.add(what);
        }
        for (const what of ended) expect(high.delete(what)).toBe(true);
        expect(highOf(state).toSorted()).toEqual([...high].toSorted());
      }
    }),
  );
});

test("a steady calm always ends what was high", () => {
  const high = { ...all(1000), disk_free_mb: 0, memory_free_mb: 0 };
  const last = run([...lasting(high), ...Array.from({ length: CALM_SAMPLES }, () => calm)]).at(-1)!;
  expect(last.state).toEqual({});
  expect([...last.ended].toSorted()).toEqual(names.toSorted());
});
