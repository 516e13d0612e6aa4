/** The database that the tests of the runbook's session restore: 100 rows were backed up, 5 were written since. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { createDatabase, snapshot, valueOf, withDatabase } from './databases.ts';
import { endProcessesAfterEach } from './processes.ts';
import { Story, type StoryOptions } from './runbookStory.ts';
import { useTempFolder } from './tempFolders.ts';

export const insert = "INSERT INTO items (name) VALUES ('after the backup')";

export interface Restores {
  folder: (...parts: string[]) => string;
  readonly live: string;
  readonly backup: string;
  begin: (options?: StoryOptions) => Promise<Story>;
  /** The step "stop", where this machine may see only the programs of its own user. */
  stop: (story: Story) => Promise<void>;
  /** Up to the step "copy". */
  moved: (options?: StoryOptions) => Promise<Story>;
  rows: (path?: string) => unknown;
  /** What is beside the live database. */
  names: () => string[];
}

/** Call it once in a suite: each test has its own. */
export function useRestores(): Restores {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    mkdirSync(folder('data'));
    live = createDatabase(folder('data/app.db'), { journalMode: 'wal' });
    backup = (await snapshot(live, { folder: folder('backups') })).path;
    for (let n = 0; n < 5; n++) withDatabase(live, (db) => db.exec(insert));
  });

  const begin: Restores['begin'] = (options) => Story.begin(backup, [live], options);
  const stop: Restores['stop'] = async (story) => {
    if (!story.isOffered('stop-done')) await story.tick('confirm-unseen');
    await story.press('stop-done');
  };
  const moved: Restores['moved'] = async (options) => {
    const story = await begin(options);
    await story.press('restore-live');
    await stop(story);
    await story.press('move');
    assert.equal(story.now, 'copy current', story.failure);
    return story;
  };
  return {
    ...{ folder, begin, stop, moved },
    get live() {
      return live;
    },
    get backup() {
      return backup;
    },
    rows: (path = live) => valueOf(path, 'SELECT count(*) FROM items'),
    names: () => readdirSync(folder('data')).sort(),
  };
}
