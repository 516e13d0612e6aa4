/** The runbook page in every stage of a restore, as its host would describe them. */
import type { Action, RunbookState, Step, Tick } from '../../src/runbook/protocol.ts';
import { pageWords } from '../../src/runbook/words.ts';

const words = pageWords((message) => message);

const undo: Action = { id: 'undo', label: 'Undo', kind: 'secondary', enabled: true };

const base: RunbookState = {
  runbook: 'app-1',
  words,
  title: 'Restore app.db',
  subtitle:
    'Nothing is changed until step 2. You can stop at any point, and undo until you clean up.',
  notices: [],
  from: {
    label: 'Backup',
    title: 'Today 13:45:02 · 48.2 MB',
    facts: ['exact', 'verified 2 min ago', '“before migration 0042”', 'main@3f9c1d2'],
    lines: [],
  },
  to: {
    label: 'Live database',
    title: 'data/app.db · 49.0 MB',
    facts: ['WAL, 1.2 MB not yet checkpointed', 'last written 8 s ago'],
    lines: [],
  },
  comparisons: [
    {
      id: 'compared-app',
      title: 'What this restore changes',
      at: 'compared 5 s ago',
      summary: {
        kind: 'warning',
        text: '132 rows of orders are only in the live database. They stay in the previous database only.',
      },
      rows: [
        { table: 'orders', live: 18204, backup: 18072, lost: 132, gained: 0, changed: 4 },
        { table: 'users', live: 911, backup: 914, lost: 0, gained: 3, changed: 1 },
        { table: 'sessions', live: null, backup: 12, lost: null, gained: null, changed: null },
      ],
      total: { lost: 132, gained: 3, changed: 5 },
      rest: '8 other tables are identical',
      notCompared: [{ table: 'orders_search', reason: 'a virtual table (fts5) is not read' }],
      lines: [
        {
          kind: 'warning',
          text: 'The schemas differ: 1 table and 2 indexes.',
          action: { id: 'schema-app', label: 'Show Differences', kind: 'link', enabled: true },
        },
        {
          kind: 'fact',
          text: 'Migrations (Alembic): the backup is 1 revision behind (0041, live 0042). Run your migrations after the restore, or start the matching build.',
        },
      ],
      actions: [{ id: 'compare-app', label: 'Compare Again', kind: 'link', enabled: true }],
    },
  ],
  steps: [],
  footer: {
    text: 'The previous database stays as app.db.bad-20261121_135210Z until you clean up.',
    actions: [
      { id: 'export', label: 'Export Runbook…', kind: 'secondary', enabled: true },
      { ...undo, enabled: false, reason: 'Nothing has been moved yet.' },
    ],
  },
  busy: false,
  liveMessage: '',
  shell: 'posix',
};

const plan = step('plan', 0, 'Plan', {
  summary: 'The backup is intact (SHA-256 and integrity check).',
});
const stop = step('stop', 1, 'Stop everything that uses the database', {
  summary: 'A program that keeps the file open goes on writing into the previous database.',
  commands: {
    posix: "lsof -- '/srv/shop/data/app.db' '/srv/shop/data/app.db-wal'\nkill 4312",
    powershell: 'Get-Process -Id 4312\nStop-Process -Id 4312',
  },
});
const move = step('move', 2, 'Keep the current database', {
  summary:
    'The current database is kept as app.db.bad-20261121_135210Z with the files that SQLite has beside it.',
  commands: {
    posix: "ln -- '/srv/shop/data/app.db' '/srv/shop/data/app.db.bad-20261121_135210Z'",
    powershell:
      "Copy-Item -LiteralPath 'C:\\shop\\data\\app.db' -Destination 'C:\\shop\\data\\app.db.bad-20261121_135210Z'",
  },
});
const copy = step('copy', 3, 'Copy the backup into place', {
  commands: {
    posix: "cp -- '/srv/shop/backups/app_20261121_134502Z.db' '/srv/shop/data/app.db'",
    powershell:
      "Copy-Item -LiteralPath 'C:\\shop\\backups\\app_20261121_134502Z.db' -Destination 'C:\\shop\\data\\app.db'",
  },
});
const restart = step('restart', 4, 'Restart', {
  summary: 'Task “start server”, then http://127.0.0.1:8000/health',
});
const verify = step('verify', 5, 'Verify');
const cleanUp = step('clean-up', 6, 'Clean up', {
  summary: 'Keep the previous database, archive it, or delete it.',
});

const donePlan: Step = { ...plan, status: 'done', at: '13:52:10' };
const doneStop: Step = {
  ...stop,
  status: 'done',
  at: '13:53:02',
  summary: 'No program has it open.',
  lines: [{ kind: 'proof', text: 'No process of yours has it open, and it could be locked.' }],
};
const doneMove: Step = {
  ...move,
  status: 'done',
  at: '13:53:09',
  lines: [
    { kind: 'proof', text: 'Safety snapshot app_20261121_135304Z.db, verified', at: '13:53:06' },
    { kind: 'fact', text: '3 files kept as app.db.bad-20261121_135210Z', at: '13:53:09' },
  ],
};
const doneCopy: Step = {
  ...copy,
  status: 'done',
  at: '13:53:11',
  lines: [{ kind: 'proof', text: 'The file in place has the SHA-256 of the backup.' }],
};
const doneRestart: Step = {
  ...restart,
  status: 'done',
  at: '13:54:00',
  lines: [{ kind: 'fact', text: 'uvicorn (pid 4977) has opened the database.' }],
};

const footerWithUndo: RunbookState['footer'] = {
  ...base.footer,
  actions: [...base.footer.actions.slice(0, 1), undo],
};

const currentPlan: Step = {
  ...plan,
  status: 'current',
  actions: [
    { id: 'restore-beside', label: 'Restore to a New File', kind: 'primary', enabled: true },
    { id: 'restore-live', label: 'Restore over data/app.db…', kind: 'secondary', enabled: true },
  ],
};

export const states = {
  plan: {
    ...base,
    steps: [currentPlan, stop, move, copy, restart, verify, cleanUp],
  },
  'plan-bundle': {
    ...base,
    title: 'Restore 3 databases of shop_20261121_134502Z.zip',
    from: { ...base.from, title: 'Today 13:45:02 · 3 databases at the same moment' },
    to: {
      ...base.to,
      title: 'data/app.db and 2 others',
      lines: [
        { kind: 'error', text: 'data/cache.db is damaged: it cannot be compared or snapshotted.' },
        { kind: 'warning', text: 'data/jobs.db is missing.' },
      ],
    },
    comparisons: [
      ...base.comparisons,
      {
        id: 'compared-jobs',
        title: 'data/jobs.db',
        progress: { done: 3, total: 8, text: 'comparing events, 3 of 8 tables' },
        rows: [],
        notCompared: [],
        lines: [],
        actions: [{ id: 'compare-cancel', label: 'Cancel', kind: 'link', enabled: true }],
      },
    ],
    steps: [
      {
        ...currentPlan,
        members: {
          label: 'Databases',
          items: [
            tick('member-0', 'data/app.db', true),
            tick('member-1', 'data/cache.db', true),
            { ...tick('member-2', 'data/jobs.db', false), note: 'missing: restored as a new file' },
          ],
        },
      },
      stop,
      move,
      copy,
      restart,
      verify,
      cleanUp,
    ],
  },
  stop: {
    ...base,
    liveMessage: '2 programs have app.db open.',
    steps: [
      donePlan,
      {
        ...stop,
        status: 'current',
        statusText: 'watching…',
        holders: [
          { name: 'uvicorn', pid: 4312, note: 'you · data/app.db, -wal, -shm' },
          { name: 'Python', pid: 4098, note: 'an extension inside VS Code · data/app.db' },
        ],
        lines: [{ kind: 'warning', text: 'Programs of other users cannot be seen from here.' }],
        confirm: {
          id: 'confirm-stopped',
          label: 'I know that no program of another user has it open.',
          ticked: false,
          enabled: true,
        },
        actions: [
          { id: 'run-stop-task', label: 'Run Task “stop server”', kind: 'primary', enabled: true },
          { id: 'check-holders', label: 'Check Now', kind: 'secondary', enabled: true },
          {
            id: 'stop-done',
            label: 'Continue',
            kind: 'secondary',
            enabled: false,
            reason: 'Continue is possible when both programs have closed the database.',
          },
        ],
      },
      move,
      copy,
      restart,
      verify,
      cleanUp,
    ],
  },
  unsaved: {
    ...base,
    notices: [
      {
        id: 'notice-unsaved',
        kind: 'error',
        title: 'Do not stop python3 (4711) yet: data would be lost.',
        text: 'app.db-wal was deleted or replaced while the program has it open. Only the program still has its content. Save it, then stop the program.',
        actions: [
          { id: 'save-lost-first', label: 'Save What It Holds', kind: 'primary', enabled: true },
        ],
      },
    ],
    steps: [
      donePlan,
      {
        ...stop,
        status: 'current',
        statusText: 'watching…',
        holders: [{ name: 'python3', pid: 4711 }],
        lines: [
          {
            kind: 'error',
            text: 'app.db-wal was deleted or replaced while python3 (4711) has it open. Only that program still has its content.',
          },
          {
            kind: 'warning',
            text: 'Programs of other users, in other containers or on other machines cannot be seen from here.',
          },
        ],
        actions: [
          { id: 'save-lost', label: 'Save What It Holds', kind: 'primary', enabled: true },
          { id: 'give-up-lost', label: 'Do Not Save…', kind: 'secondary', enabled: true },
          {
            id: 'stop-done',
            label: 'Continue',
            kind: 'secondary',
            enabled: false,
            reason: 'Save what the program has open first.',
          },
          { id: 'check-stop', label: 'Look Again', kind: 'secondary', enabled: true },
        ],
      },
      move,
      copy,
      restart,
      verify,
      cleanUp,
    ],
  },
  moving: {
    ...base,
    busy: true,
    steps: [
      donePlan,
      doneStop,
      {
        ...move,
        status: 'running',
        lines: [
          {
            kind: 'proof',
            text: 'Safety snapshot app_20261121_135304Z.db, verified',
            at: '13:53:06',
          },
        ],
        progress: { done: 18_600_000, total: 49_000_000, text: '38 % · 210 MB/s · 3 s left' },
      },
      copy,
      restart,
      verify,
      cleanUp,
    ],
  },
  'copy-failed': {
    ...base,
    footer: footerWithUndo,
    steps: [
      donePlan,
      doneStop,
      doneMove,
      {
        ...copy,
        status: 'failed',
        at: '13:53:10',
        lines: [
          {
            kind: 'error',
            text: 'Not enough space in data: 48.2 MB needed, 12 MB free. Nothing was written there.',
          },
          {
            kind: 'fact',
            text: 'The previous database is complete as app.db.bad-20261121_135210Z.',
          },
        ],
        actions: [
          { id: 'copy-again', label: 'Try Again', kind: 'primary', enabled: true },
          { id: 'roll-back', label: 'Put the Old Database Back', kind: 'secondary', enabled: true },
        ],
      },
      restart,
      verify,
      cleanUp,
    ],
  },
  restart: {
    ...base,
    footer: footerWithUndo,
    steps: [
      donePlan,
      { ...doneStop, status: 'confirmed', lines: [] },
      doneMove,
      doneCopy,
      {
        ...restart,
        status: 'current',
        statusText: 'waiting for a program to open it…',
        actions: [
          {
            id: 'run-start-task',
            label: 'Run Task “start server”',
            kind: 'primary',
            enabled: true,
          },
          { id: 'restarted', label: 'I Have Started It', kind: 'secondary', enabled: true },
          { id: 'skip-restart', label: 'Skip', kind: 'secondary', enabled: true },
        ],
      },
      verify,
      cleanUp,
    ],
  },
  verify: {
    ...base,
    footer: footerWithUndo,
    steps: [
      donePlan,
      doneStop,
      doneMove,
      doneCopy,
      doneRestart,
      {
        ...verify,
        status: 'current',
        lines: [
          { kind: 'proof', text: 'Integrity: no findings', at: '13:54:02' },
          { kind: 'proof', text: 'Rows: as in the manifest, 11 tables', at: '13:54:02' },
          { kind: 'warning', text: 'Migrations: at 0042, the backup was at 0041', at: '13:54:02' },
          { kind: 'proof', text: 'http://127.0.0.1:8000/health answers 200 “ok”', at: '13:54:03' },
        ],
        progress: { done: 0, total: 0, text: 'asking http://127.0.0.1:8000/health' },
        checks: [
          tick('spot-0', 'Signing in works', true),
          tick('spot-1', 'The newest order of 13:40 is there', false),
        ],
        actions: [
          { id: 'verified', label: 'Looks Good', kind: 'primary', enabled: true },
          { id: 'verify-live', label: 'Check Again', kind: 'secondary', enabled: true },
        ],
      },
      cleanUp,
    ],
  },
  done: {
    ...base,
    footer: footerWithUndo,
    steps: [
      donePlan,
      doneStop,
      doneMove,
      doneCopy,
      { ...restart, status: 'skipped', at: '13:54:00' },
      { ...verify, status: 'confirmed', at: '13:55:40' },
      {
        ...cleanUp,
        status: 'current',
        summary: 'app.db.bad-20261121_135210Z, 50.2 MB in 3 files',
        actions: [
          { id: 'keep-set-aside', label: 'Keep', kind: 'primary', enabled: true },
          { id: 'archive-set-aside', label: 'Archive as Zip', kind: 'secondary', enabled: true },
          { id: 'delete-set-aside', label: 'Delete…', kind: 'danger', enabled: true },
        ],
      },
    ],
  },
  interrupted: {
    ...base,
    notices: [
      {
        id: 'interrupted',
        kind: 'warning',
        title: 'This restore was interrupted during step 3.',
        text: 'Nothing is lost: the previous database is complete as app.db.bad-20261121_135210Z.',
        actions: [
          { id: 'finish', label: 'Finish', kind: 'primary', enabled: true },
          { id: 'roll-back', label: 'Roll Back', kind: 'secondary', enabled: true },
        ],
      },
    ],
    comparisons: [],
    to: {
      ...base.to,
      facts: [],
      lines: [{ kind: 'error', text: 'data/app.db is missing: nothing can be compared with it.' }],
    },
    footer: footerWithUndo,
    steps: [donePlan, doneStop, doneMove, { ...copy, status: 'failed' }, restart, verify, cleanUp],
  },
} satisfies Record<string, RunbookState>;

/** A state in which everything that comes from elsewhere tries to be more than text. */
export function hostileState(): RunbookState {
  const name = '<img src=x onerror=alert(1)>[Fix](command:workbench.action.quit)\u202egpj.bd\u0007';
  const [comparison] = base.comparisons;
  const state: RunbookState = {
    ...base,
    title: `Restore ${name}`,
    comparisons: comparison
      ? [
          {
            ...comparison,
            rows: [{ table: name, live: 1, backup: 2, lost: 0, gained: 1, changed: 0 }],
            notCompared: [{ table: name, reason: name }],
          },
        ]
      : [],
    steps: [
      {
        ...stop,
        status: 'current',
        holders: [{ name, pid: 1, note: name }],
        lines: [{ kind: 'error', text: name }],
        commands: { posix: `rm '${name}'\nnext`, powershell: name },
        actions: [{ id: 'check-holders', label: name, kind: 'primary', enabled: true }],
      },
    ],
  };
  return state;
}

function step(id: string, number: number, title: string, rest: Partial<Step> = {}): Step {
  return {
    id,
    number,
    title,
    status: 'waiting',
    holders: [],
    lines: [],
    checks: [],
    actions: [],
    ...rest,
  };
}

function tick(id: string, label: string, ticked: boolean): Tick {
  return { id, label, ticked, enabled: true };
}
