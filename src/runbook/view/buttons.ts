import type { Action } from '../protocol.ts';

export function button(
  id: string,
  label: string,
  kind: Action['kind'],
  { enabled = true, reason }: { enabled?: boolean; reason?: string | undefined } = {},
): Action {
  return { id, label, kind, enabled, ...(!enabled && reason !== undefined && { reason }) };
}
