/** The page that shows what is inside a backup, from its state. */
import type { LookCell, LookChange, LookState, LookTable } from '../../look/protocol.ts';
import { h, type Content, type Description } from '../dom.ts';
import { icon } from '../icons.ts';
import { actionRow, fill, lineList, own, progressBar } from '../parts.ts';

export function lookPage(state: LookState): Description[] {
  const { words, title, subtitle, notices, actions, verdict, facts, changes, busy } = state;
  return [
    ...(busy ? [h('div', { key: 'busy', class: 'busy', 'aria-hidden': 'true' })] : []),
    h(
      'main',
      { key: 'main', class: 'look' },
      h('h1', { tabindex: '-1' }, own(title)),
      h('p', { key: 'subtitle', class: 'dim subtitle' }, own(subtitle)),
      notices.map(({ id, kind, title: text, text: more, actions: offered }) =>
        h(
          'section',
          { key: id, class: `notice ${kind}`, 'aria-label': text },
          icon(kind),
          h(
            'div',
            {},
            h('strong', {}, own(text)),
            more === undefined ? undefined : h('p', {}, own(more)),
            actionRow(offered),
          ),
        ),
      ),
      actionRow(actions),
      h(
        'section',
        { key: 'facts', class: 'card about', 'aria-label': title },
        lineList(verdict, words),
        h(
          'dl',
          { key: 'list' },
          facts.map(({ label, text }) =>
            h('div', { key: label }, h('dt', { class: 'dim' }, label), h('dd', {}, own(text))),
          ),
        ),
      ),
      changes.map((change) => changeSection(change, state)),
      tablesSection(state),
      schemaSection(state),
    ),
  ];
}

function changeSection(change: LookChange, { words }: LookState): Description {
  const { id, title, lines, progress, rows, notes, actions } = change;
  const columns = [words.table, words.added, words.removed, words.changed];
  const number = (value: number, kind: string, label: string): Description =>
    h(
      'td',
      { role: 'cell', class: value === 0 ? `${kind} none` : kind, 'data-label': label },
      numbers().format(value),
    );
  return h(
    'section',
    { key: id, class: 'card comparison', 'aria-labelledby': `${id}-title` },
    h('h2', { id: `${id}-title` }, own(title)),
    lineList(lines, words),
    progress === undefined ? undefined : progressBar(progress, title),
    rows.length === 0
      ? undefined
      : h(
          'table',
          { key: 'rows', role: 'table' },
          h('caption', { class: 'unseen' }, own(title)),
          h(
            'thead',
            { role: 'rowgroup' },
            h(
              'tr',
              { role: 'row' },
              columns.map((name) => h('th', { scope: 'col', role: 'columnheader' }, name)),
            ),
          ),
          h(
            'tbody',
            { role: 'rowgroup' },
            rows.map(({ table, added, removed, changed, note }) =>
              h(
                'tr',
                { key: table, role: 'row' },
                h(
                  'th',
                  { scope: 'row', role: 'rowheader' },
                  own(table),
                  note === '' ? undefined : h('span', { class: 'dim' }, ' · ', own(note)),
                ),
                number(added, 'gained', words.added),
                number(removed, 'lost', words.removed),
                number(changed, 'changed', words.changed),
              ),
            ),
          ),
        ),
    notes.map((note, index) => h('p', { key: `note${index}`, class: 'dim' }, own(note))),
    actionRow(actions),
  );
}

function tablesSection({ tables, words }: LookState): Description {
  const { title, note, items, lines, actions } = tables;
  return h(
    'section',
    { key: 'tables', class: 'tables', 'aria-labelledby': 'tables-title' },
    h(
      'div',
      { class: 'head' },
      h('h2', { id: 'tables-title' }, title),
      h('span', { class: 'dim' }, note),
    ),
    lineList(lines, words),
    h(
      'ul',
      { key: 'items' },
      items.map((item, index) => tableItem(item, index, words)),
    ),
    actionRow(actions),
  );
}

function tableItem(table: LookTable, index: number, words: LookState['words']): Description {
  const { action, name, isOpen, count, content } = table;
  const head = [
    action === undefined ? undefined : icon('chevron'),
    h('span', { class: 'name' }, own(name)),
    h('span', { class: 'dim count' }, count),
  ];
  return h(
    'li',
    { key: action?.id ?? `n${index}` },
    action === undefined
      ? h('div', { class: 'row' }, head)
      : h(
          'button',
          {
            key: 'toggle',
            type: 'button',
            class: 'row',
            'data-act': action.id,
            'aria-expanded': String(isOpen),
          },
          head,
        ),
    content === undefined
      ? undefined
      : h(
          'div',
          { key: 'content', class: 'content' },
          lineList(content.lines, words),
          content.rows.length === 0 ? undefined : grid(name, content, words),
          actionRow(content.actions),
        ),
  );
}

function grid(
  name: string,
  { columns, rows }: NonNullable<LookTable['content']>,
  words: LookState['words'],
): Content {
  const label = fill(words.rowsOf, name);
  return h(
    'div',
    { key: 'grid', class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
    h(
      'table',
      { class: 'data' },
      h('caption', { class: 'unseen' }, own(label)),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map((one) => h('th', { scope: 'col' }, own(one))),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map((row) => h('tr', {}, row.map(cell))),
      ),
    ),
  );
}

function cell({ kind, text, note }: LookCell): Description {
  return h(
    'td',
    { class: kind },
    kind === 'null' ? h('span', { class: 'dim' }, text) : own(text),
    note === undefined ? undefined : h('span', { class: 'dim note' }, ' ', own(note)),
  );
}

function schemaSection({ schema, words }: LookState): Description {
  const { title, action, isOpen, text, lines } = schema;
  return h(
    'section',
    { key: 'schema', class: 'tables', 'aria-labelledby': 'schema-title' },
    h(
      'h2',
      { id: 'schema-title' },
      h(
        'button',
        {
          type: 'button',
          class: 'row',
          'data-act': action.id,
          'aria-expanded': String(isOpen),
        },
        icon('chevron'),
        title,
      ),
    ),
    lineList(lines, words),
    text === undefined
      ? undefined
      : h('pre', { key: 'text', tabindex: '0', role: 'region', 'aria-label': title }, own(text)),
  );
}

let format: Intl.NumberFormat | undefined;

function numbers(): Intl.NumberFormat {
  return (format ??= new Intl.NumberFormat(document.documentElement.lang || undefined));
}
