/** What the page shows of a session: facts in, one state out. Pure. */
import type { VerdictStatus } from '../core/manifest.ts';
import type { PlannedItem, TableChange } from '../core/restore.ts';
import { runbookSteps, stepIds, type RunbookStep, type StepId } from '../core/runbook.ts';
import { formatBytes } from '../core/units.ts';
import type {
  Action,
  Card,
  Comparison,
  Line,
  Notice,
  Progress,
  RunbookState,
  Shell,
  Step,
  Tick,
} from './protocol.ts';
import { currentStep, isCopied, isUnderWay, setAsidesOf, stepsOf } from './run.ts';
import type { RestoreSession, Seen } from './session.ts';
import { pageWords } from './words.ts';

/** How the person reads times and verdicts. */
export interface Wording {
  /** `Today 13:45` */
  day: (iso: string) => string;
  /** `13:52:10` */
  time: (iso: string) => string;
  verdict: (status: VerdictStatus) => string;
  shell: Shell;
  /** What the person is to check, in order. */
  spotChecks: readonly string[];
  /** Of the backup, beyond what the plan knows: method, note, git. */
  backupFacts: readonly string[];
}

const mostRows = 200;

export function stateOf(session: RestoreSession, wording: Wording): RunbookState {
  const { run, host, plan, busy } = session;
  const { t } = host;
  const targets = run.items.map(({ live }) => host.nameOf(live)).join(', ');
  return {
    runbook: run.id,
    words: pageWords(t),
    title: t('Restore {0}', targets),
    subtitle: subtitle(session),
    notices: notices(session),
    from: backupCard(session, wording),
    to: liveCard(session),
    comparisons: comparisons(session, wording),
    steps: steps(session, wording),
    footer: footer(session),
    busy: busy !== undefined,
    liveMessage: busy?.text ?? session.failure?.text ?? '',
    shell: plan === undefined ? 'posix' : wording.shell,
  };
}

function button(
  id: string,
  label: string,
  kind: Action['kind'],
  { enabled = true, reason }: { enabled?: boolean; reason?: string | undefined } = {},
): Action {
  return { id, label, kind, enabled, ...(!enabled && reason !== undefined && { reason }) };
}

function subtitle({ run, setAsides, host: { t } }: RestoreSession): string {
  switch (run.ending) {
    case 'undone':
      return t('Undone: the old database is in place.');
    case 'kept':
      return setAsides.length > 0
        ? t('Finished. The old database is kept, and can be put back.')
        : t('Finished.');
    case 'elsewhere':
      return t('Brought to an end outside of this page.');
    case 'archived':
    case 'deleted':
      return t('Finished.');
    case undefined:
  }
  if (run.destination === 'beside') {
    return isCopied(run)
      ? t('A new file was made. Nothing that existed was changed.')
      : t('A new file is made. Nothing that exists is changed.');
  }
  if (isCopied(run)) return t('The backup is live. You can undo until you clean up.');
  return isUnderWay(run)
    ? t('The old database is still live, and set aside as well. You can undo until you clean up.')
    : t('Nothing is changed until step 2. You can stop at any point, and undo until you clean up.');
}

function notices(session: RestoreSession): Notice[] {
  const { interrupted, failure, plan, host, run } = session;
  const { t } = host;
  const found: Notice[] = [];
  if (interrupted !== undefined) {
    found.push({
      ...{ id: 'notice-interrupted', kind: 'warning' },
      title:
        interrupted.action === 'undo'
          ? t('The undo was interrupted.')
          : t('This restore was interrupted.'),
      text: t('{0} Nothing is lost. Bring it to its end, or back.', interrupted.words),
      actions: [
        button('finish', t('Finish'), 'primary', {
          enabled: session.busy === undefined && interrupted.can.includes('finish'),
        }),
        button('roll-back', t('Roll Back'), 'secondary', {
          enabled: session.busy === undefined && interrupted.can.includes('roll-back'),
        }),
      ],
    });
  }
  if (plan?.verified === 'damaged' && !isUnderWay(run)) {
    found.push({
      ...{ id: 'notice-damaged', kind: 'error', title: t('This backup is damaged.') },
      text: [
        ...plan.findings.map(({ message }) => message),
        t('It is not restored. Choose another backup.'),
      ].join(' '),
      actions: [],
    });
  }
  if (failure?.step === 'undo') {
    const dismiss = button('dismiss', t('Dismiss'), 'secondary');
    found.push({
      ...{ id: 'notice-failure', kind: 'error', title: t('It was not undone.') },
      text: failure.text,
      actions: [dismiss],
    });
  }
  return found;
}

function backupCard({ plan, run, host }: RestoreSession, wording: Wording): Card {
  const { t } = host;
  if (plan === undefined) {
    const title = host.nameOf(run.backup);
    return { label: t('Backup'), title, facts: [...wording.backupFacts], lines: [] };
  }
  return {
    label: plan.kind === 'bundle' ? t('Bundle') : t('Backup'),
    title: `${wording.day(plan.createdAt)} · ${formatBytes(plan.sizeBytes)}`,
    facts: [host.nameOf(plan.backup), wording.verdict(plan.verified), ...wording.backupFacts],
    lines: plan.findings.map(({ message }) => ({
      kind: plan.verified === 'damaged' ? 'error' : 'warning',
      text: message,
    })),
  };
}

function liveCard({ plan, run, host }: RestoreSession): Card {
  const { t } = host;
  const label = run.items.length > 1 ? t('Live databases') : t('Live database');
  const title = run.items.map(({ live }) => host.nameOf(live)).join(', ');
  const [only] = plan?.items ?? [];
  if (only === undefined || plan === undefined || plan.items.length > 1) {
    return { label, title, facts: [], lines: [] };
  }
  const isLink = only.realTarget !== only.target;
  return {
    label,
    title: only.targetExists ? `${title} · ${formatBytes(only.targetSizeBytes)}` : title,
    facts: [
      targetWord(only, host.t),
      ...(only.siblings.length > 0 ? [t('with {0}', only.siblings.join(', '))] : []),
      ...(isLink ? [t('a link to {0}', host.nameOf(only.realTarget))] : []),
    ],
    lines: [],
  };
}

type Translate = RestoreSession['host']['t'];

function targetWord({ targetState, targetReason }: PlannedItem, t: Translate): string {
  switch (targetState) {
    case 'missing':
      return t('the file is not there');
    case 'readable':
      return t('can be read');
    case 'empty':
      return t('is empty');
    case 'damaged':
    case 'not-a-database':
    case 'unreadable':
      return targetReason ?? t('cannot be read');
  }
}

function comparisons(session: RestoreSession, wording: Wording): Comparison[] {
  const { plan, busy, run, host } = session;
  const { t } = host;
  const again = button('compare-again', t('Compare Again'), 'link', {
    enabled: busy === undefined && !isUnderWay(run),
  });
  if (busy?.step === 'plan') {
    return [
      {
        ...{ id: 'comparison-0', title: t('What this restore changes'), rows: [], notCompared: [] },
        ...{ lines: [], actions: [button('cancel-comparison', t('Cancel'), 'link')] },
        progress: progressOf(busy, session),
      },
    ];
  }
  if (plan === undefined || isCopied(run) || plan.verified === 'damaged') return [];
  return plan.items.map((item, index) => ({
    id: `comparison-${index}`,
    title:
      plan.items.length > 1
        ? t('What this restore changes in {0}', host.nameOf(item.target))
        : t('What this restore changes'),
    ...(session.plannedAt !== undefined && {
      at: t('compared at {0}', wording.time(session.plannedAt)),
    }),
    ...tables(item, t),
    lines: item.targetState === 'readable' ? comparisonLines(item, index, t) : [],
    actions: index === 0 ? [again] : [],
  }));
}

function tables(
  { tables: all, notCompared, source, targetState }: PlannedItem,
  t: Translate,
): Pick<Comparison, 'rows' | 'total' | 'rest' | 'notCompared' | 'summary'> {
  const differs = ({ lost, gained, changed }: TableChange): boolean => lost + gained + changed > 0;
  const differing = all.filter((one) => one.compared && differs(one));
  const backupRows = new Map((source.tables ?? []).map(({ name, rows }) => [name, rows]));
  const rows = differing.slice(0, mostRows).map(({ name, lost, gained, changed }) => {
    const backup = backupRows.get(name) ?? null;
    const live = backup === null ? null : backup - gained + lost;
    return { table: name, live, backup, lost, gained, changed };
  });
  const same = all.filter((one) => one.compared).length - differing.length;
  const total = {
    lost: differing.reduce((sum, { lost }) => sum + lost, 0),
    gained: differing.reduce((sum, { gained }) => sum + gained, 0),
    changed: differing.reduce((sum, { changed }) => sum + changed, 0),
  };
  const summary = summaryLine(total, targetState, notCompared.length > 0, t);
  return {
    rows,
    ...(rows.length > 1 && { total }),
    ...(same > 0 && {
      rest:
        same === 1 ? t('1 other table is identical') : t('{0} other tables are identical', same),
    }),
    notCompared: notCompared.map(({ name, reason }) => ({ table: name, reason })),
    summary,
  };
}

function summaryLine(
  { lost, gained, changed }: { lost: number; gained: number; changed: number },
  state: PlannedItem['targetState'],
  isPartial: boolean,
  t: Translate,
): Line {
  if (state === 'missing')
    return { kind: 'fact', text: t('There is no live file: nothing is lost.') };
  if (state === 'empty') {
    return { kind: 'fact', text: t('The live file is empty: nothing is lost.') };
  }
  if (state !== 'readable') {
    const text = t('The live file cannot be read, so nobody knows what only it has.');
    return { kind: 'warning', text };
  }
  if (lost + gained + changed === 0) {
    return isPartial
      ? { kind: 'warning', text: t('The rows that could be compared are the same.') }
      : { kind: 'fact', text: t('The rows are the same.') };
  }
  return {
    kind: lost + changed > 0 ? 'warning' : 'fact',
    text:
      lost === 1
        ? t('1 row lost, {0} brought back, {1} changed.', gained, changed)
        : t('{0} rows lost, {1} brought back, {2} changed.', lost, gained, changed),
  };
}

function comparisonLines({ schema, migrations }: PlannedItem, index: number, t: Translate): Line[] {
  const lines: Line[] = [];
  if (!schema.same) {
    const action = button(`open-schema-${index}`, t('Show Differences'), 'link');
    lines.push({ kind: 'warning', text: t('The schemas differ.'), action });
  }
  if (migrations.backup.length + migrations.live.length > 0) {
    const isCalm = migrations.verdict === 'same';
    lines.push({ kind: isCalm ? 'fact' : 'warning', text: migrations.words });
  }
  return lines;
}

function progressOf(
  { text, progress }: NonNullable<RestoreSession['busy']>,
  { host: { t } }: RestoreSession,
): Progress {
  if (progress === undefined || progress.totalBytes === 0) return { done: 0, total: 0, text };
  const { doneBytes: done, totalBytes: total } = progress;
  return { done, total, text: t('{0} {1} %', text, Math.floor((done / total) * 100)) };
}

function steps(session: RestoreSession, wording: Wording): Step[] {
  const { plan } = session;
  const texts = new Map<StepId, RunbookStep>(
    plan === undefined
      ? []
      : runbookSteps(plan, {
          now: new Date(session.run.startedAt),
          setAsides: setAsidesOf(session.run),
        }).map((step) => [step.id, step]),
  );
  return stepIds.map((id, number) => {
    const text = texts.get(id);
    const isBeside = session.run.destination === 'beside';
    const said = session.run.log.filter((entry) => entry.step === id);
    const status = statusOf(session, id);
    const at = session.run.done[id]?.at;
    return {
      // Ids are unique among all that the page shows, and buttons are called like their steps.
      ...{ id: `step-${id}`, number, status, title: titleOf(id, session) },
      ...(status === 'current' &&
        (id === 'stop' || id === 'restart') && { statusText: session.host.t('watching…') }),
      ...(at !== undefined && { at: wording.time(at) }),
      // What the plan says is on the cards above.
      ...(text !== undefined &&
        isAhead(status) &&
        id !== 'plan' &&
        !isBeside && { summary: text.text }),
      ...{ holders: [], checks: [], actions: [] },
      ...detailsOf(session, id, wording),
      lines: [
        ...said.map((entry): Line => ({
          ...{ kind: 'proof', text: entry.text, at: wording.time(entry.at) },
        })),
        ...linesOf(session, id),
      ],
      ...(session.busy?.step === id && { progress: progressOf(session.busy, session) }),
      ...(text !== undefined &&
        text.sh.length > 0 &&
        isAhead(status) &&
        // The commands are those of a restore over the live database.
        !isBeside && {
          commands: { posix: text.sh.join('\n'), powershell: text.powershell.join('\n') },
        }),
    };
  });
}

function isAhead(status: Step['status']): boolean {
  return status === 'current' || status === 'waiting' || status === 'failed';
}

function titleOf(id: StepId, { run, host: { t } }: RestoreSession): string {
  switch (id) {
    case 'plan':
      return t('Plan');
    case 'stop':
      return t('Stop everything that uses the database');
    case 'move':
      return t('Move the old database aside');
    case 'copy':
      return run.destination === 'beside'
        ? t('Copy the backup to a new file')
        : t('Copy the backup into place');
    case 'restart':
      return t('Restart');
    case 'verify':
      return t('Verify');
    case 'clean-up':
      return t('Clean up');
  }
}

function statusOf(session: RestoreSession, id: StepId): Step['status'] {
  const { run, busy, failure } = session;
  if (!stepsOf(run).includes(id)) return 'skipped';
  if (busy?.step === id) return 'running';
  if (failure?.step === id) return 'failed';
  const done = run.done[id];
  if (done !== undefined) return done.how;
  return currentStep(run) === id ? 'current' : 'waiting';
}

function linesOf(session: RestoreSession, id: StepId): Line[] {
  const { failure, run, health, proofs, seen, host } = session;
  const { t } = host;
  const lines: Line[] = [];
  if (failure?.step === id) lines.push({ kind: 'error', text: failure.text });
  if (id === 'stop' && currentStep(run) === 'stop') lines.push(...watching(seen, t));
  if (id === 'restart' && currentStep(run) === 'restart') {
    const text = t('This step is done as soon as a program opens the database.');
    lines.push({ kind: 'fact', text });
  }
  if (id === 'move') {
    for (const { safetySnapshot, safetyFailure, target } of run.moved?.items ?? []) {
      if (safetySnapshot !== undefined) {
        const text = t('Safety snapshot: {0}', host.nameOf(safetySnapshot));
        lines.push({ kind: 'proof', text });
      } else if (safetyFailure !== undefined) {
        const text = t(
          'No safety snapshot of {0}: {1}',
          host.nameOf(target),
          safetyFailure.message,
        );
        lines.push({ kind: 'warning', text });
      }
    }
  }
  if (id === 'verify') {
    for (const { realTarget, status, findings } of proofs ?? []) {
      const what = host.nameOf(realTarget);
      if (status === 'ok') {
        lines.push({
          kind: 'proof',
          text: t('{0}: integrity and recorded row counts hold.', what),
        });
        continue;
      }
      const text = t(
        '{0}: it differs from the backup, as it does once the application writes:',
        what,
      );
      const isChecked = findings.every(
        ({ code }) => code === 'changed' || code.endsWith('-differ'),
      );
      lines.push(
        isChecked
          ? { kind: 'warning', text }
          : { kind: 'warning', text: t('{0}: it could not be checked to the end:', what) },
      );
      for (const { message } of findings) lines.push({ kind: 'warning', text: message });
    }
    if (health !== undefined)
      lines.push({ kind: health.ok ? 'proof' : 'error', text: health.text });
  }
  return lines;
}

function watching(seen: Seen | undefined, t: Translate): Line[] {
  if (seen === undefined) return [{ kind: 'fact', text: t('Looking…') }];
  const lines: Line[] = [];
  if (seen.holders.length === 0) lines.push({ kind: 'fact', text: t('Nobody is seen to use it.') });
  if (seen.known === 'own-user') {
    const text = t('Programs of other users cannot be seen from here.');
    lines.push({ kind: 'warning', text });
  }
  if (seen.known === 'unknown') {
    const text = t('On this machine it cannot be seen who has a file open.');
    lines.push({ kind: 'warning', text });
  }
  return lines;
}

type Details = Partial<Pick<Step, 'holders' | 'checks' | 'confirm' | 'actions' | 'members'>>;

function detailsOf(session: RestoreSession, id: StepId, wording: Wording): Details {
  const { busy, run, host, interrupted } = session;
  const { t } = host;
  if (busy !== undefined) {
    // A comparison is cancelled where it is shown.
    const isOver = busy.progress?.phase === 'publish' || busy.progress?.phase === 'move';
    const canStop = busy.step === id && id !== 'plan' && busy.canCancel && !isOver;
    return canStop ? { actions: [button('cancel', t('Cancel'), 'secondary')] } : {};
  }
  // A press that does nothing would be lost without a word.
  if (session.isActing || interrupted !== undefined) return {};
  if (id === 'plan') return planDetails(session);
  if (currentStep(run) !== id) return {};
  switch (id) {
    case 'stop':
      return stopDetails(session);
    case 'move':
      return {
        actions: [
          button('move', t('Move It Aside'), 'primary'),
          button('check-move', t('I Have Moved It: Check'), 'secondary'),
        ],
      };
    case 'copy':
      return {
        actions: [
          button(
            'copy',
            run.destination === 'beside' ? t('Try Again') : t('Copy the Backup into Place'),
            'primary',
          ),
          ...(run.destination === 'beside'
            ? []
            : [button('check-copy', t('I Have Copied It: Check'), 'secondary')]),
        ],
      };
    case 'restart':
      return {
        actions: [
          ...taskButton('run-start-task', host.tasks.start, t),
          button(
            'restart-done',
            t('It Runs Again'),
            host.tasks.start === '' ? 'primary' : 'secondary',
          ),
        ],
      };
    case 'verify':
      return verifyDetails(session, wording);
    case 'clean-up':
      return { actions: cleanUpActions(session) };
  }
}

function taskButton(id: string, name: string, t: Translate): Action[] {
  return name === '' ? [] : [button(id, t('Run Task "{0}"', name), 'primary')];
}

function planDetails({ plan, run, host, failure }: RestoreSession): Details {
  const { t } = host;
  if (isUnderWay(run) || isCopied(run) || run.ending !== undefined) return {};
  const isUndecided = run.destination === 'undecided';
  const items = run.items.map(({ live, chosen, member }, index): Tick => ({
    ...{ id: `item-${index}`, label: member ?? host.nameOf(live), ticked: chosen, enabled: true },
    ...(member !== undefined && { note: host.nameOf(live) }),
  }));
  const members = items.length > 1 &&
    isUndecided && { members: { label: t('Databases to restore'), items } };
  const change = isUndecided ? [] : [button('change-mind', t('Change'), 'link')];
  if (plan === undefined) {
    const isChosen = run.items.some(({ chosen }) => chosen);
    const label = failure?.step === 'plan' ? t('Try Again') : t('Compare');
    const reason = t('Choose a database.');
    const compare = button('compare-choice', label, 'primary', { enabled: isChosen, reason });
    return { ...members, actions: [compare, ...change] };
  }
  if (!isUndecided) return { actions: change };
  const enabled = plan.verified !== 'damaged';
  const reason = t('A damaged backup is not restored.');
  const names = run.items.filter(({ chosen }) => chosen).map(({ live }) => host.nameOf(live));
  return {
    ...members,
    actions: [
      button('restore-beside', t('Restore to a New File'), 'primary', { enabled, reason }),
      button('restore-live', t('Restore over {0}…', names.join(', ')), 'secondary', {
        ...{ enabled, reason },
      }),
    ],
  };
}

function stopDetails({ seen, hasAgreed, host }: RestoreSession): Details {
  const { t } = host;
  const isFree = seen?.holders.length === 0;
  const isProved = isFree && seen?.known === 'all';
  return {
    holders: (seen?.holders ?? []).map(({ name, pid }) => ({ name, pid })),
    ...(!isProved && {
      confirm: {
        // Two ids: who has said the one has not said the other.
        id: isFree ? 'confirm-unseen' : 'confirm-open',
        ...{ ticked: hasAgreed, enabled: seen !== undefined },
        label: isFree
          ? t('Nothing that I cannot see here uses it.')
          : t('Go on although it is open: what these programs write from now on may be lost.'),
      },
    }),
    actions: [
      ...taskButton('run-stop-task', host.tasks.stop, t),
      button('stop-done', t('Continue'), host.tasks.stop === '' ? 'primary' : 'secondary', {
        enabled: isProved || (seen !== undefined && hasAgreed),
        reason: isFree ? t('Say that nothing else uses it.') : t('Somebody has it open.'),
      }),
      button('check-stop', t('Look Again'), 'secondary'),
    ],
  };
}

function verifyDetails(
  { run, proofs, health, host }: RestoreSession,
  { spotChecks }: Wording,
): Details {
  const { t } = host;
  const checks = spotChecks.map((label, index): Tick => {
    const id = `check-${index}`;
    return { id, label, ticked: run.ticked.includes(id), enabled: true };
  });
  const isProved = proofs !== undefined;
  const isWell = isProved && health?.ok !== false;
  return {
    checks,
    actions: [
      button(
        'verify-again',
        isProved ? t('Check Again') : t('Check'),
        isWell ? 'secondary' : 'primary',
      ),
      button('verify-done', t('All Is Well'), isWell ? 'primary' : 'secondary', {
        enabled: isProved,
        reason: t('Check first.'),
      }),
    ],
  };
}

function cleanUpActions({ setAsides, host }: RestoreSession): Action[] {
  const { t } = host;
  if (setAsides.length === 0) return [button('keep', t('Finish'), 'primary')];
  return [
    button('keep', t('Keep the Old Database'), 'primary'),
    button('archive', t('Archive It as a Zip'), 'secondary', {
      enabled: host.backupsFolder !== undefined,
      reason: t('There is no backups folder.'),
    }),
    button('delete', t('Delete It…'), 'danger'),
  ];
}

function footer(session: RestoreSession): RunbookState['footer'] {
  const { run, host, setAsides, missingSetAsides, busy, plan } = session;
  const { t } = host;
  const named = (paths: string[]): string => paths.map((path) => host.nameOf(path)).join(', ');
  const lines = [
    ...(setAsides.length > 0 ? [t('The old database is kept as {0}.', named(setAsides))] : []),
    ...(missingSetAsides.length > 0
      ? [t('{0} is not there any more.', named(missingSetAsides))]
      : []),
    ...(!isUnderWay(run) && run.ending === undefined
      ? [t('The old database will be kept beside it until you clean up.')]
      : []),
  ];
  const isOver = run.ending !== undefined && run.ending !== 'kept';
  return {
    text: run.destination === 'beside' || isOver ? '' : lines.join(' '),
    actions: [
      button('export', t('Export Runbook…'), 'secondary', {
        enabled: plan !== undefined && busy === undefined && run.destination !== 'beside',
        reason: t('It is about restores over the live database that were compared.'),
      }),
      ...(run.destination === 'beside' || isOver
        ? []
        : [
            busy?.step === 'undo' && busy.canCancel
              ? button('cancel', t('Cancel'), 'secondary')
              : button('undo', t('Undo…'), 'secondary', {
                  enabled: session.canUndo && busy === undefined,
                  reason: whyNoUndo(session),
                }),
          ]),
    ],
  };
}

function whyNoUndo({ run, busy, missingSetAsides, host: { t } }: RestoreSession): string {
  if (busy !== undefined) return busy.text;
  if (!isUnderWay(run) && run.ending === undefined) return t('Nothing was changed yet.');
  return missingSetAsides.length > 0
    ? t('What was kept is not there any more.')
    : t('There was no old database.');
}
