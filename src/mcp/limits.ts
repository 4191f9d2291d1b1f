/** Every bound of the MCP side, by name. */

export interface McpLimits {
  /** JSON text of one answer; some twelve thousand tokens. More is cut, and said to be. */
  readonly answerChars: number;
  /** One message on standard input; the kernel's own bound on bodies is as large unless changed. */
  readonly lineBytes: number;
  /** How often a client that asked for progress hears that a call is still under way. */
  readonly progressMs: number;
}

export const MCP_LIMITS: McpLimits = Object.freeze({
  answerChars: 48_000,
  lineBytes: 8 * 1024 * 1024,
  progressMs: 5_000,
});
