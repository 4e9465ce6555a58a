/** The roles a process may have: parts of the reading's way that meet only through the log. */

export const ROLES = ['ingest', 'detect', 'respond'] as const
export type Role = (typeof ROLES)[number]
