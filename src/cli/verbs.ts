/** Everything that the command line can do, by name. */
import { adopt } from './adopt.ts';
import { backUp } from './backUp.ts';
import { bundle } from './bundle.ts';
import { checkpoint } from './checkpoint.ts';
import { compare } from './compare.ts';
import { doctor } from './doctor.ts';
import { extract } from './extract.ts';
import { find } from './find.ts';
import { git } from './git.ts';
import { hook } from './hook.ts';
import { list } from './list.ts';
import { offsite } from './offsite.ts';
import { mcp } from './mcp.ts';
import { prune } from './prune.ts';
import { release } from './release.ts';
import { note, pin, unpin } from './remark.ts';
import { restore } from './restore.ts';
import { run } from './run.ts';
import { runbook } from './runbook.ts';
import { saveOpen } from './saveOpen.ts';
import type { Verb } from './verb.ts';
import { verify } from './verify.ts';
import { watch } from './watch.ts';

export const verbs: Readonly<Record<string, Verb>> = {
  find,
  'back-up': backUp,
  'save-open': saveOpen,
  bundle,
  checkpoint,
  run,
  watch,
  git,
  hook,
  mcp,
  list,
  verify,
  extract,
  compare,
  restore,
  runbook,
  prune,
  pin,
  unpin,
  note,
  release,
  adopt,
  offsite,
  doctor,
};
