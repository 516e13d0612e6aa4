import type { RestorePlan } from '../../core/restore/plan.ts';
import type { Shell } from '../protocol.ts';

/** How the person reads times and verdicts. */
export interface Wording {
  /** `Today 13:45` */
  day: (iso: string) => string;
  /** `13:52:10` */
  time: (iso: string) => string;
  verdict: (plan: Pick<RestorePlan, 'verified' | 'outOfStep' | 'findings'>) => string;
  shell: Shell;
  /** What the person is to check, in order. */
  spotChecks: readonly string[];
  /** Of the backup, beyond what the plan knows: method, note, git. */
  backupFacts: readonly string[];
}
