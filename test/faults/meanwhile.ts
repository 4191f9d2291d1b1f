/** Repeats `step` for as long as `work` runs; when either fails, so does this. */
export async function meanwhile(
  step: () => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const repeat = async () => {
    while (!over.signal.aborted) await step();
  };
  await Promise.all([repeat(), work().finally(() => over.abort())]);
}
