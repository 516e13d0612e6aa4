/** Where the keyboard goes when what it was on is done or gone. */
import type { RunbookState, Step } from '../protocol.ts';
import { headingId, isActive } from './steps.ts';

export interface Place {
  element: Element | null;
  step: string | undefined;
}

export function currentPlace(): Place {
  const element = document.activeElement;
  return { element, step: element?.closest<HTMLElement>('[data-step]')?.dataset['step'] };
}

/**
 * Follows the work from a step that was completed to the next, if the person was there or nowhere in particular, and
 * keeps the place of one whose button went away. Never takes the focus from another part of the window.
 */
export function settleFocus(
  before: Place,
  previous: RunbookState | undefined,
  next: RunbookState,
): void {
  if (previous === undefined || !document.hasFocus()) return;
  const finished = finishedSteps(previous, next);
  const wasNowhere = before.element === null || before.element === document.body;
  const isLost = !wasNowhere && !before.element?.isConnected;
  const follows = before.step === undefined ? wasNowhere : finished.includes(before.step);
  if (finished.length > 0 && (follows || isLost)) {
    const step =
      next.steps.find(isActive) ?? next.steps.findLast(({ id }) => finished.includes(id));
    goTo(step?.id);
  } else if (isLost) {
    goTo(before.step ?? next.steps.find(isActive)?.id);
  }
}

function finishedSteps(previous: RunbookState, next: RunbookState): string[] {
  const open = new Set(previous.steps.filter((step) => !isFinished(step)).map(({ id }) => id));
  return next.steps.filter((step) => isFinished(step) && open.has(step.id)).map(({ id }) => id);
}

function isFinished({ status }: Step): boolean {
  return status === 'done' || status === 'confirmed' || status === 'skipped';
}

function goTo(step: string | undefined): void {
  const heading =
    (step === undefined ? null : document.getElementById(headingId(step))) ??
    document.querySelector<HTMLElement>('h1');
  heading?.focus({ preventScroll: true });
  (heading?.closest('.step') ?? heading)?.scrollIntoView({
    block: 'nearest',
    behavior: isMotionReduced() ? 'instant' : 'smooth',
  });
}

function isMotionReduced(): boolean {
  return (
    document.body.classList.contains('vscode-reduce-motion') ||
    matchMedia('(prefers-reduced-motion: reduce)').matches
  );
}
