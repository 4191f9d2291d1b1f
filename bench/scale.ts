/** How thorough a run is. */
export interface Scale {
  readonly quick: boolean;
  /** Where CPU profiles of the measured kernel go, if they are wanted. */
  readonly profileDir?: string | undefined;
}
