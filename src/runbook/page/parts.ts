/** The small parts that the sections share. */
import type { Action, Line, PageWords, Progress, Tick } from '../protocol.ts';
import { h, type Content, type Description } from './dom.ts';
import { icon } from './icons.ts';

/** A text from elsewhere, whose direction stays its own matter. */
export function own(text: string): Description {
  return h('bdi', {}, text);
}

export function fill(template: string, ...values: string[]): string {
  return template.replace(/\{(\d)\}/g, (_, index: string) => values[Number(index)] ?? '');
}

/** A button; one that cannot be used keeps the focus and says why. */
export function actionButton({ id, label, kind, enabled, reason }: Action): Description {
  return h(
    'button',
    {
      key: id,
      type: 'button',
      class: kind,
      'data-act': id,
      'aria-disabled': enabled ? undefined : 'true',
      title: enabled ? undefined : reason,
      'aria-describedby': !enabled && reason !== undefined ? `${id}-reason` : undefined,
    },
    kind === 'danger' ? icon('warning') : undefined,
    own(label),
  );
}

/** Buttons in a row, and below them why some of them cannot be used. */
export function actionRow(actions: Action[]): Content {
  if (actions.length === 0) return undefined;
  const reasons = actions.filter(({ enabled, reason }) => !enabled && reason !== undefined);
  return [
    h('div', { key: 'actions', class: 'actions' }, actions.map(actionButton)),
    reasons.map(({ id, reason = '' }) =>
      h('p', { key: `${id}-reason`, id: `${id}-reason`, class: 'dim reason' }, own(reason)),
    ),
  ];
}

/** What a sign says to a screen reader. */
type LineWords = Pick<PageWords, 'proof' | 'warning' | 'error'>;

export function lineList(lines: Line[], words: LineWords): Content {
  if (lines.length === 0) return undefined;
  return h(
    'ul',
    { key: 'lines', class: 'lines' },
    lines.map((line) => h('li', { class: `line ${line.kind}` }, lineContent(line, words))),
  );
}

export function lineContent({ kind, text, at, action }: Line, words: LineWords): Content {
  return [
    icon(kind),
    kind === 'fact' ? undefined : h('span', { key: 'kind', class: 'unseen' }, `${words[kind]}: `),
    h(
      'span',
      { key: 'text', class: 'text' },
      own(text),
      action === undefined ? undefined : [' ', actionButton(action)],
    ),
    at === undefined ? undefined : h('span', { key: 'at', class: 'at dim' }, own(at)),
  ];
}

export function progressBar({ done, total, text }: Progress, label: string): Content {
  const known = total > 0;
  return h(
    'div',
    { key: 'progress', class: 'progress' },
    h('progress', {
      'aria-label': label,
      'aria-valuetext': text,
      max: known ? String(total) : undefined,
      value: known ? String(Math.min(done, total)) : undefined,
    }),
    h('span', { class: 'dim' }, own(text)),
  );
}

export function tickBox({ id, label, note, ticked, enabled }: Tick): Description {
  return h(
    'label',
    { key: id, class: 'tick' },
    h('input', {
      type: 'checkbox',
      'data-tick': id,
      'aria-disabled': enabled ? undefined : 'true',
      checked: ticked,
    }),
    h(
      'span',
      {},
      own(label),
      note === undefined ? undefined : h('small', { class: 'dim' }, own(note)),
    ),
  );
}
