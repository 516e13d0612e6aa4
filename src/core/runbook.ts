/** A restore as steps that a person can follow, also by hand. Pure: a plan goes in, text comes out. */
import type { RestorePlan } from './restore.ts';

export const stepIds = ['plan', 'stop', 'move', 'copy', 'restart', 'verify', 'clean-up'] as const;
export type StepId = (typeof stepIds)[number];

export interface RunbookStep {
  id: StepId;
  title: string;
  /** What the step does and why, in sentences. */
  text: string;
  /** The same by hand, one command a line; empty where there is nothing to run. */
  sh: string[];
  powershell: string[];
}

/** What has been done so far, for an exported runbook. */
export interface LogEntry {
  step: StepId;
  /** ISO 8601. */
  at: string;
  text: string;
}

/** The names that the commands use. */
export interface RunbookOptions {
  /** When the runbook is made: the set-aside is named after it. */
  now: Date;
}

/** The steps in their order. */
export function runbookSteps(_plan: RestorePlan, _options: RunbookOptions): RunbookStep[] {
  return [];
}

export function renderMarkdown(
  _plan: RestorePlan,
  _options: RunbookOptions,
  _log: readonly LogEntry[] = [],
): string {
  return '';
}

export function renderShell(_plan: RestorePlan, _options: RunbookOptions): string {
  return '';
}

export function renderPowerShell(_plan: RestorePlan, _options: RunbookOptions): string {
  return '';
}
