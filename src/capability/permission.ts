/** What a capability can permit: a closed list, so that a misspelt one is refused. */

export const PERMISSIONS = {
  read: "Look: status, lists, logs, events, keys, the value of a secret.",
  write: "Change data: keys, secrets, registrations; record events.",
  invoke: "Call, cast or fetch a service.",
  deploy: "Deploy, update, restart, kill.",
  use: "Have a secret filled into a request, without reading it.",
  connect: "Open a connection to a host.",
  publish: "Send to a topic.",
  subscribe: "Receive from a topic.",
  admin: "Run the kernel: shut down, grant and revoke for others.",
} as const;

export type Permission = keyof typeof PERMISSIONS;

const NAMES = Object.keys(PERMISSIONS) as Permission[];

/** One bit each, so that a check is one instruction. */
const BITS = Object.fromEntries(NAMES.map((name, i) => [name, 1 << i])) as Record<
  Permission,
  number
>;

export const ALL_PERMISSIONS: readonly Permission[] = Object.freeze(NAMES);

export const isPermission = (name: string): name is Permission => Object.hasOwn(PERMISSIONS, name);

export const permissionBit = (permission: Permission): number => BITS[permission];

export const permissionBits = (permissions: readonly Permission[]): number =>
  permissions.reduce((bits, each) => bits | BITS[each], 0);
