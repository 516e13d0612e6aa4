/** What was found out in a step. */
import type { Proof } from '../../core/restore/proof.ts';
import type { StepId } from '../../core/runbook/runbook.ts';
import type { Health, Host } from '../host.ts';
import type { Line } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep } from '../run.ts';
import { named, shortened, unseenWords } from '../words.ts';

export function linesOf(restore: Restoration, id: StepId): Line[] {
  const { failure } = restore;
  return [...(failure?.step === id ? [line('error', failure.text)] : []), ...ownLines(restore, id)];
}

function ownLines(restore: Restoration, id: StepId): Line[] {
  const isCurrent = currentStep(restore.run) === id;
  switch (id) {
    case 'stop':
      return isCurrent ? [...seenLines(restore), ...unseenLines(restore)] : [];
    case 'move':
      return [...safetyLines(restore), ...(isCurrent ? unseenLines(restore) : [])];
    case 'copy':
      return isCurrent && restore.run.destination === 'live' ? unseenLines(restore) : [];
    case 'restart':
      return isCurrent ? [...restartLines(restore), ...unseenLines(restore)] : [];
    case 'verify':
      return verifyLines(restore);
    case 'plan':
    case 'clean-up':
      return [];
  }
}

function line(kind: Line['kind'], text: string): Line {
  return { kind, text };
}

function seenLines({ seen, host: { t } }: Restoration): Line[] {
  if (seen === undefined) return [line('fact', t('Looking…'))];
  return [
    ...(seen.holders.length === 0
      ? [
          line(
            'fact',
            seen.known === 'all'
              ? t('No program has it open.')
              : t('No program that this user can see has it open.'),
          ),
        ]
      : []),
    ...seen.lost.map(({ names, pid, program }) =>
      line(
        'error',
        t(
          '{0} was deleted or replaced while {1} has it open. Only that program still has its content.',
          names.join(', '),
          named([{ pid, name: program }]),
        ),
      ),
    ),
  ];
}

/** In each step that a program could disturb. */
function unseenLines({ seen, host: { t } }: Restoration): Line[] {
  const words = unseenWords(seen?.known, t);
  return words === undefined ? [] : [line('warning', words)];
}

function safetyLines({ run, host }: Restoration): Line[] {
  const { t, nameOf } = host;
  return (run.moved?.items ?? []).flatMap((item) => {
    const { safetySnapshot, safetyFailure, target, realTarget } = item;
    if (safetySnapshot !== undefined) {
      return line('proof', t('Safety snapshot: {0}', nameOf(safetySnapshot)));
    }
    if (safetyFailure === undefined) return [];
    const message = shortened(safetyFailure.message, [target, realTarget], host);
    return line('warning', t('No safety snapshot of {0}: {1}', nameOf(target), message));
  });
}

function restartLines({ run: { programs = [] }, openers, host: { t } }: Restoration): Line[] {
  const isKnown = programs.length > 0;
  return [
    line(
      'fact',
      isKnown
        ? t('This step is done as soon as {0} opens the database again.', programs.join(', '))
        : t('No program had it open before the restore. Confirm when your application runs again.'),
    ),
    ...openers.unstopped.map((one) =>
      line(
        'warning',
        t(
          '{0} was not stopped. It may continue with the previous database until it is started again.',
          named([one]),
        ),
      ),
    ),
    ...openers.unknown.map((one) =>
      isKnown
        ? line(
            'warning',
            t('{0} has it open, but did not have it open before the restore.', named([one])),
          )
        : line('proof', t('{0} has it open.', named([one]))),
    ),
  ];
}

function verifyLines({ proofs = [], health, host }: Restoration): Line[] {
  return [
    ...proofs.flatMap((proof) => proofLines(proof, host)),
    ...(health === undefined ? [] : [line(healthKind(health), health.text)]),
  ];
}

function healthKind({ ok }: Health): Line['kind'] {
  if (ok === undefined) return 'warning';
  return ok ? 'proof' : 'error';
}

function proofLines({ realTarget, status, findings }: Proof, host: Host): Line[] {
  const { t, nameOf } = host;
  const what = nameOf(realTarget);
  if (status === 'ok') {
    return [
      line(
        'proof',
        t('{0}: the integrity check passes, and the row counts are those of the backup.', what),
      ),
    ];
  }
  const isChecked = findings.every(
    ({ code }) => code === 'changed' || code === 'out-of-step' || code.endsWith('-differ'),
  );
  const isOutOfStep = findings.some(({ code }) => code === 'out-of-step');
  const verdict = !isChecked
    ? t('{0} could not be checked completely:', what)
    : isOutOfStep
      ? t('{0} has all rows of the backup, but an index or a rule is out of step:', what)
      : t('{0} differs from the backup. That is normal once the application writes:', what);
  const messages = findings.map(({ message }) => shortened(message, [realTarget], host));
  return [verdict, ...messages].map((text) => line('warning', text));
}
