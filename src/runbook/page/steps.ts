/** The steps of the runbook: all of them in sight, the one to act on opened up. */
import type { Holder, PageWords, Shell, Step } from '../protocol.ts';
import { disclosure } from './disclosure.ts';
import { type Content, type Description, h } from './dom.ts';
import { icon } from './icons.ts';
import type { View } from './pageView.ts';
import { actionButton, actionRow, fill, lineList, own, progressBar, tickBox } from './parts.ts';

export function stepItem(step: Step, view: View): Description {
  const { id, number, title, status, statusText, at, summary } = step;
  const { words } = view.state;
  const said = statusText ?? (status === 'waiting' ? undefined : words.status[status]);
  return h(
    'li',
    {
      key: id,
      class: `step ${status}`,
      'data-step': id,
      'aria-current': isActive(step) ? 'step' : undefined,
    },
    h('span', { key: 'dot', class: 'dot', 'aria-hidden': 'true' }, dot(step)),
    h(
      'div',
      { key: 'content', class: 'content' },
      h(
        'div',
        { key: 'head', class: 'head' },
        h(
          'h2',
          {
            id: headingId(id),
            tabindex: '-1',
            'aria-label': fill(words.step, String(number), title),
          },
          own(title),
        ),
        h(
          'span',
          { class: 'status dim' },
          said === undefined ? undefined : h('span', { class: 'word' }, own(said)),
          at === undefined ? undefined : h('span', {}, own(at)),
        ),
      ),
      summary === undefined
        ? undefined
        : h('p', { key: 'summary', class: 'summary dim' }, own(summary)),
      h('div', { key: 'body', class: 'body' }, body(step, view)),
    ),
  );
}

/** The steps that something is to be done about, or is being done. */
export function isActive({ status }: Step): boolean {
  return status === 'current' || status === 'running' || status === 'failed';
}

export function headingId(step: string): string {
  return `${step}-title`;
}

function dot({ status, number }: Step): Content {
  switch (status) {
    case 'waiting':
    case 'current':
      return String(number);
    case 'running':
      return [h('span', { key: 'spinner', class: 'spinner' }), String(number)];
    case 'done':
      return icon('check');
    case 'confirmed':
      return icon('person');
    case 'skipped':
      return icon('skip');
    case 'failed':
      return icon('cross');
  }
}

function body(step: Step, view: View): Content {
  const { title, members, holders, lines, progress, checks, confirm, actions } = step;
  const { words } = view.state;
  return [
    members === undefined ? undefined : tickGroup('members', members.label, members.items),
    holderList(holders, words),
    lineList(lines, words),
    progress === undefined ? undefined : progressBar(progress, title),
    checks.length === 0 ? undefined : tickGroup('checks', words.checks, checks),
    confirm === undefined
      ? undefined
      : h('div', { key: 'confirm', class: 'confirm' }, tickBox(confirm)),
    actionRow(actions),
    commandsDisclosure(step, view),
  ];
}

function tickGroup(key: string, label: string, ticks: Step['checks']): Description {
  return h('fieldset', { key }, h('legend', {}, own(label)), ticks.map(tickBox));
}

function holderList(holders: Holder[], words: PageWords): Content {
  if (holders.length === 0) return undefined;
  return h(
    'ul',
    { key: 'holders', class: 'holders', 'aria-label': words.holders },
    holders.map(({ name, pid, note, action }) =>
      h(
        'li',
        { key: `${pid} ${name}` },
        h('span', { class: 'held' }),
        h('code', {}, own(name)),
        h(
          'span',
          { class: 'dim' },
          [fill(words.pid, String(pid)), note]
            .filter((part) => part !== undefined)
            .flatMap((part, index) => [index === 0 ? '' : ' · ', own(part)]),
        ),
        action === undefined ? undefined : actionButton(action),
      ),
    ),
  );
}

const shells: Shell[] = ['posix', 'powershell'];

function commandsDisclosure({ id, commands }: Step, view: View): Content {
  if (commands === undefined) return undefined;
  const { state, memory, copied } = view;
  const { words } = state;
  const shown = memory.shell(state);
  const panel = `${id}-commands`;
  const isCopied = copied?.step === id && copied.shell === shown;
  return disclosure(`${id}-by-hand`, words.byHand, memory, false, [
    h(
      'div',
      { key: 'bar', class: 'bar' },
      h(
        'div',
        { role: 'tablist', 'aria-label': words.shells },
        shells.map((shell) =>
          h(
            'button',
            {
              key: shell,
              type: 'button',
              role: 'tab',
              id: `${panel}-${shell}`,
              'data-shell': shell,
              'aria-selected': String(shell === shown),
              'aria-controls': panel,
              tabindex: shell === shown ? '0' : '-1',
            },
            words[shell],
          ),
        ),
      ),
      h(
        'button',
        { key: 'copy', type: 'button', class: 'link copy', 'data-copy': id },
        icon(isCopied ? 'check' : 'copy'),
        isCopied ? words.copied : words.copy,
      ),
    ),
    h(
      'pre',
      {
        id: panel,
        role: 'tabpanel',
        'aria-labelledby': `${panel}-${shown}`,
        tabindex: '0',
        dir: 'ltr',
      },
      commands[shown],
    ),
  ]);
}
