/** An operation's answer on standard output: as JSON, or as the shape that suits people. */
import type { OperationName } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import { printable } from "#cli/render/format.ts";
import { record } from "#cli/render/record.ts";
import { type Row, table } from "#cli/render/table.ts";
import { isTreeNode, tree } from "#cli/render/tree.ts";
import type { Session } from "#cli/session.ts";

function human({ paint }: Session, name: OperationName, answer: Row): string {
  const hints = operations[name].cli?.table;
  const rows = hints && answer[hints.rows];
  if (hints !== undefined && Array.isArray(rows)) {
    const more = answer["next"];
    const text = table({ rows, columns: hints.columns, paint });
    return typeof more === "string"
      ? `${text}\n${paint("dim", `more: --after ${printable(more)}`)}`
      : text;
  }
  if (isTreeNode(answer["tree"])) return tree(answer["tree"], paint);
  return record(answer, paint);
}

/** An answer that says `ok: false` is a failure to whoever reads the exit code. */
export async function printAnswer(
  session: Session,
  name: OperationName,
  answer: Row,
): Promise<number> {
  if (session.json) await session.out.json(answer);
  else await session.out.line(human(session, name, answer));
  return answer["ok"] === false ? EXIT.FAILED : EXIT.OK;
}
