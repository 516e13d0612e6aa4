/** What was found out in a step. */
import type { Proof } from '../../core/restore/proof.ts';
import type { StepId } from '../../core/runbook/runbook.ts';
import type { Health, Host } from '../host.ts';
import type { Line } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep } from '../run.ts';
import { named, shortened } from '../words.ts';

export function linesOf(restore: Restoration, id: StepId): Line[] {
  const { failure } = restore;
  return [...(failure?.step === id ? [line('error', failure.text)] : []), ...ownLines(restore, id)];
}

function ownLines(restore: Restoration, id: StepId): Line[] {
  const isCurrent = currentStep(restore.run) === id;
  switch (id) {
    case 'stop':
      return isCurrent ? seenLines(restore) : [];
    case 'move':
      return safetyLines(restore);
    case 'restart':
      return isCurrent ? restartLines(restore) : [];
    case 'verify':
      return verifyLines(restore);
    case 'plan':
    case 'copy':
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
    ...(seen.holders.length === 0 ? [line('fact', t('Nobody is seen to use it.'))] : []),
    ...(seen.known === 'own-user'
      ? [line('warning', t('Programs of other users cannot be seen from here.'))]
      : []),
    ...(seen.known === 'unknown'
      ? [line('warning', t('On this machine it cannot be seen who has a file open.'))]
      : []),
  ];
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
        : t('No program was seen to have it open before, so only you know when it runs again.'),
    ),
    ...openers.unstopped.map((one) =>
      line(
        'warning',
        t(
          '{0} was not stopped. It may go on with the old database until it is started again.',
          named([one]),
        ),
      ),
    ),
    ...openers.unknown.map((one) =>
      isKnown
        ? line(
            'warning',
            t('{0} has it open; it is not one of the programs that had it before.', named([one])),
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
    return [line('proof', t('{0}: integrity and recorded row counts hold.', what))];
  }
  const isChecked = findings.every(
    ({ code }) => code === 'changed' || code === 'out-of-step' || code.endsWith('-differ'),
  );
  const isOutOfStep = findings.some(({ code }) => code === 'out-of-step');
  const verdict = !isChecked
    ? t('{0}: it could not be checked to the end:', what)
    : isOutOfStep
      ? t('{0}: all rows are there, as in the backup, and something made from them is not:', what)
      : t('{0}: it differs from the backup, as it does once the application writes:', what);
  const messages = findings.map(({ message }) => shortened(message, [realTarget], host));
  return [verdict, ...messages].map((text) => line('warning', text));
}
