/** Events of agents as their programs send them, in the three dialects, and the hook that answers them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cliEntry } from './processes.ts';

export interface ToolEvent {
  event: 'SessionStart' | 'UserPromptSubmit' | 'PreToolUse' | 'PostToolUse' | 'Stop';
  cwd: string;
  session?: string;
  tool?: string;
  input?: Record<string, unknown>;
}

/** As Claude Code and VS Code's bundled agent, as VS Code's documentation, and as the Copilot SDK. */
export const dialects = {
  claude: ({ event, cwd, session = 's1', tool, input = {} }: ToolEvent): object => ({
    ...{ session_id: session, transcript_path: '/tmp/t.jsonl', cwd, hook_event_name: event },
    ...(tool !== undefined && { tool_name: tool, tool_input: input, tool_use_id: 'toolu_1' }),
    ...(event === 'PostToolUse' && { tool_response: { stdout: '', interrupted: false } }),
    ...(event === 'UserPromptSubmit' && { prompt: 'go on' }),
  }),
  documented: ({ event, cwd, session = 's1', tool, input = {} }: ToolEvent): object => ({
    ...{ timestamp: '2026-11-28T10:00:00.000Z', cwd, sessionId: session, hookEventName: event },
    ...(tool !== undefined && { tool_name: tool, tool_input: input }),
    ...(event === 'PostToolUse' && { tool_response: 'done' }),
    ...(event === 'UserPromptSubmit' && { prompt: 'go on' }),
  }),
  copilot: ({ event, cwd, session = 's1', tool, input = {} }: ToolEvent): object => ({
    ...{ timestamp: 1_764_000_000_000, cwd, sessionId: session },
    ...(tool !== undefined && { toolName: tool, toolArgs: JSON.stringify(input) }),
    ...(event === 'PostToolUse' && { toolResult: { resultType: 'success' } }),
    ...(event === 'UserPromptSubmit' && { prompt: 'go on' }),
    ...(event === 'SessionStart' && { source: 'new' }),
  }),
} as const;
export type Dialect = keyof typeof dialects;

export interface Decision {
  hookEventName?: string;
  permissionDecision?: string;
  permissionDecisionReason?: string;
  additionalContext?: string;
}

export interface Answered {
  code: number | null;
  stdout: string;
  stderr: string;
  answer: { hookSpecificOutput?: Decision } & Record<string, unknown>;
}

interface SendOptions {
  args?: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** The program that is the hook, with its arguments. */
  program?: string[];
}

/** Sends an event, or any text, to the hook. */
export async function sendToHook(
  event: object | string | Buffer,
  { args = [], env = {}, cwd, program = [process.execPath, cliEntry, 'hook'] }: SendOptions = {},
): Promise<Answered> {
  const [command = '', ...own] = program;
  const child = spawn(command, [...own, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => undefined); // It may have answered before it has read all.
  child.stdin.end(
    typeof event === 'string' || Buffer.isBuffer(event) ? event : JSON.stringify(event),
  );
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output, answer: JSON.parse(output.stdout) as Answered['answer'] };
}
