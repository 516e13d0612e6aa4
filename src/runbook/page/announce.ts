import type { RunbookState } from '../protocol.ts';
import { fill } from './parts.ts';

/** What a screen reader says of a new state: the steps that changed, then the host's own words. Empty for nothing. */
export function announcement(previous: RunbookState | undefined, next: RunbookState): string {
  const { words } = next;
  const before = new Map(previous?.steps.map(({ id, status }) => [id, status]));
  const changes = next.steps
    .filter(({ id, status }) => status !== 'waiting' && (before.get(id) ?? status) !== status)
    .map(({ number, title, status }) =>
      fill(words.stepChanged, String(number), title, words.status[status]),
    );
  const own = next.liveMessage === previous?.liveMessage ? '' : next.liveMessage;
  return [...changes, own].filter((part) => part !== '').join(' ');
}
