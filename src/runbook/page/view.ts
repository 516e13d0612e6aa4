/** The whole page: a state in, elements out. */
import type { Card, Notice, PageWords, RunbookState } from '../protocol.ts';
import { comparisonSection } from './comparison.ts';
import { type Content, type Description, h } from './dom.ts';
import { icon } from './icons.ts';
import type { View } from './pageView.ts';
import { actionButton, actionRow, lineList, own } from './parts.ts';
import { stepItem } from './steps.ts';

export function wholePage(view: View): Description[] {
  const { state, memory } = view;
  const { words, steps, footer } = state;
  const [plan] = steps;
  const isPlanning = plan === undefined || !['done', 'confirmed', 'skipped'].includes(plan.status);
  return [
    h(
      'main',
      {},
      state.busy ? h('div', { key: 'busy', class: 'busy', 'aria-hidden': 'true' }) : undefined,
      h('h1', { tabindex: '-1' }, own(state.title)),
      h('p', { key: 'subtitle', class: 'subtitle dim' }, own(state.subtitle)),
      state.notices.map(noticeSection),
      h(
        'div',
        { key: 'cards', class: 'cards' },
        card('from', state.from, words),
        h('span', { class: 'to', 'aria-hidden': 'true' }, icon('arrow')),
        card('to', state.to, words),
      ),
      state.comparisons.map((one) => comparisonSection(one, words, memory, isPlanning)),
      h(
        'ol',
        { key: 'steps', class: 'steps', 'aria-label': words.steps },
        steps.map((step) => stepItem(step, view)),
      ),
    ),
    h(
      'footer',
      {},
      h('p', {}, own(footer.text)),
      h('div', { class: 'actions' }, footer.actions.map(actionButton)),
      reasonsOf(footer.actions),
    ),
  ];
}

function reasonsOf(actions: RunbookState['footer']['actions']): Content {
  return actions
    .filter(({ enabled, reason }) => !enabled && reason !== undefined)
    .map(({ id, reason = '' }) =>
      h('p', { key: `${id}-reason`, id: `${id}-reason`, class: 'unseen' }, reason),
    );
}

function noticeSection({ id, kind, title, text, actions }: Notice): Description {
  return h(
    'section',
    { key: id, class: `notice ${kind}`, 'aria-labelledby': `${id}-title` },
    icon(kind),
    h(
      'div',
      {},
      h('h2', { id: `${id}-title` }, own(title)),
      text === undefined ? undefined : h('p', {}, own(text)),
      actionRow(actions),
    ),
  );
}

function card(key: string, { label, title, facts, lines }: Card, words: PageWords): Description {
  return h(
    'section',
    { key, class: 'card', 'aria-labelledby': `${key}-label` },
    h('h2', { id: `${key}-label`, class: 'label dim' }, own(label)),
    h('p', { key: 'title', class: 'title' }, own(title)),
    facts.length === 0
      ? undefined
      : h(
          'ul',
          { key: 'facts', class: 'facts dim' },
          facts.map((fact) => h('li', {}, own(fact))),
        ),
    lineList(lines, words),
  );
}
