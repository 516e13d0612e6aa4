import { renderMarkdown } from '../core/runbook/runbook.ts';
import type { Restoration } from './restoration.ts';
import { setAsidesOf } from './run.ts';

/** The runbook filled in with what was done, as Markdown; undefined when there is nothing that it could be about. */
export function exportedRunbook({ run, exportable }: Restoration): string | undefined {
  if (exportable === undefined) return undefined;
  const options = { now: new Date(run.startedAt), setAsides: setAsidesOf(run) };
  return renderMarkdown(exportable, options, run.log);
}
