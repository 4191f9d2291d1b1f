/**
 * Which operations of the catalogue are tools of an agent, and which are not and why (pure).
 *
 * 1. Every operation is in exactly one of the two lists; one in neither does not compile.
 * 2. A value that is to stay secret never passes through a model: no tool takes or gives one.
 */
import type { OperationName } from "#api/catalogue.ts";

/** What a call of it does to what is there, in the words of the tools' annotations. */
export type Effect = "reads" | "adds" | "changes" | "invokes";

export interface ToolChoice {
  readonly effect: Effect;
  /** What a model has to know beyond the operation's own summary. */
  readonly note?: string;
  /** Of a stream that ends by itself: under which name its messages are one answer. */
  readonly collect?: string;
  /** Input fields that make no sense in a tool. */
  readonly without?: readonly string[];
  /** The tool whose long fields this one shares: their schemas stand there only. */
  readonly like?: OperationName;
}

const TOKEN_NOTE =
  "The answer holds a token that this conversation will remember: give it a ttl_ms, and only what is needed.";

const CHOSEN = {
  Deploy: {
    effect: "adds",
    note: "`code` is one TypeScript module, or `files` several. How to write one: read_docs services.",
  },
  Validate: { effect: "reads", like: "Deploy", note: "Takes what deploy takes." },
  Update: {
    effect: "changes",
    like: "Deploy",
    note: "What goes wrong leaves the old revision running; rollback brings an earlier one back.",
  },
  Rollback: { effect: "changes" },
  Kill: { effect: "changes", note: "Deletes its state and its kv, too." },
  Restart: { effect: "changes" },
  Status: { effect: "reads" },
  List: { effect: "reads" },
  Call: { effect: "invokes" },
  Cast: { effect: "invokes" },
  Logs: { effect: "reads", collect: "lines", without: ["follow"] },
  ListRevisions: { effect: "reads" },
  GetRevision: { effect: "reads" },
  DiffRevisions: { effect: "reads" },
  GetRollout: { effect: "reads" },
  PauseRollout: { effect: "changes" },
  ResumeRollout: { effect: "changes" },
  PromoteRollout: { effect: "changes" },
  AbortRollout: { effect: "changes" },
  GetState: { effect: "reads" },
  ResetState: { effect: "changes" },
  ListEvents: { effect: "reads" },
  ListSecrets: { effect: "reads" },
  RevokeSecret: { effect: "changes" },
  GrantCapability: { effect: "adds", note: TOKEN_NOTE },
  AttenuateCapability: { effect: "adds", note: TOKEN_NOTE },
  DelegateCapability: { effect: "adds", note: TOKEN_NOTE },
  RevokeCapability: { effect: "changes" },
  ListCapabilities: { effect: "reads" },
  InspectCapability: { effect: "reads" },
  VerifyCapability: { effect: "reads" },
} as const satisfies Partial<Record<OperationName, ToolChoice>>;

const SECRET = "a model would see the value, and so would everybody who reads the conversation";
const OPERATOR = "it concerns the whole machine: its operator's, by the command line";

/** What is no tool, and why. */
export const NOT_TOOLS: Readonly<Record<Exclude<OperationName, keyof typeof CHOSEN>, string>> = {
  StoreSecret: SECRET,
  RotateSecret: SECRET,
  RetrieveSecret: SECRET,
  RetrieveSecretWithKey: SECRET,
  ExportState: "a document for a file, larger than a model should read; get_state shows the state",
  ImportState: "it takes a document from a file",
  Watch: "a stream without end; list_events with since_id asks again",
  VaultStatus: OPERATOR,
  RotateMasterKey: OPERATOR,
  ResumeRotation: OPERATOR,
  AcceptVault: OPERATOR,
  VerifyEvents: OPERATOR,
  CreateTenant: OPERATOR,
  ListTenants: OPERATOR,
  GetTenant: OPERATOR,
  SetTenantLimits: OPERATOR,
  DeleteTenant: OPERATOR,
  GetConfig: OPERATOR,
  SetConfig: OPERATOR,
  Health: OPERATOR,
  Tree: OPERATOR,
  BootReport: OPERATOR,
  Shutdown: OPERATOR,
};

export const TOOLS: readonly (readonly [OperationName, ToolChoice])[] = Object.entries(CHOSEN) as [
  OperationName,
  ToolChoice,
][];

/** `ListRevisions` → `list_revisions`. */
export const toolName = (name: OperationName): string =>
  name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
