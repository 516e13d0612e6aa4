/** What a hook answers: one JSON object, which never approves anything in the person's name. */
import { type HookEvent, oneLine } from './hookEvent.ts';

export type Answer = Readonly<Record<string, unknown>>;

/** An agent reads it with every answer. */
export const longestContext = 500;
const longestReason = 1000;

export const nothing: Answer = {};

/** Tells the agent something. */
export function context({ name, isFlat }: HookEvent, text: string): Answer {
  const additionalContext = cut(text, longestContext);
  const hookSpecificOutput = { hookEventName: name, additionalContext };
  return isFlat ? { additionalContext, hookSpecificOutput } : { hookSpecificOutput };
}

/** Has the agent's program ask the person before the tool runs. */
export function ask({ name, isFlat }: HookEvent, reason: string): Answer {
  const decision = {
    permissionDecision: 'ask',
    permissionDecisionReason: cut(reason, longestReason),
  };
  const hookSpecificOutput = { hookEventName: name, ...decision };
  return isFlat ? { ...decision, hookSpecificOutput } : { hookSpecificOutput };
}

/** Names of files and tables have no part of their own in it, such as a line that looks like an order. */
function cut(text: string, most: number): string {
  const line = oneLine(text, Infinity);
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}
