/** A verdict in words for people. Never more than was checked. */
import type { Manifest, OutOfStep } from './manifest.ts';

type VerdictFacts = Pick<Manifest['verdict'], 'status' | 'outOfStep'> & {
  findings?: Manifest['verdict']['findings'];
};

export function verdictWords({ status, outOfStep = [], findings = [] }: VerdictFacts): string {
  switch (status) {
    case 'ok':
      return 'verified';
    case 'damaged':
      return 'damaged';
    case 'partial':
      return outOfStep.length > 0
        ? `rows complete, ${outOfStepNames(outOfStep)} out of step`
        : 'verified as far as possible';
    case 'unchecked':
      return findings.length > 0 ? 'could not be checked' : 'not verified';
  }
}

const mostNames = 2;

/** `index by_name`, `full-text index notes`, `table users with its rules`. */
export function outOfStepNames(
  outOfStep: readonly OutOfStep[],
  nameOf: (one: OutOfStep) => string = nameInEnglish,
  more: (count: number) => string = (count) => `${count} more`,
): string {
  const names = outOfStep.slice(0, mostNames).map(nameOf);
  const rest = outOfStep.length - names.length;
  return [...names, ...(rest > 0 ? [more(rest)] : [])].join(', ');
}

function nameInEnglish({ what, name }: OutOfStep): string {
  switch (what) {
    case 'index':
      return `index ${name}`;
    case 'full-text':
      return `full-text index ${name}`;
    case 'rules':
      return `table ${name} with its rules`;
    default:
      return name;
  }
}
