import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type Dialect, dialects, sendToHook } from '../support/agentHooks.ts';
import { contentOf, createDatabase, withDatabase } from '../support/databases.ts';
import { type Incident, incidents, looksDangerous, type Place } from '../support/incidents.ts';
import { sampleOf } from '../support/operations.ts';
import { endProcessesAfterEach, killRunning, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('incidents with agents, replayed', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let place: Place = { work: '', database: '' };
  let env: Record<string, string> = {};

  beforeEach(() => {
    mkdirSync(folder('work/.git'), { recursive: true });
    place = {
      work: folder('work'),
      database: createDatabase(folder('work/app.db'), { rows: 200 }),
    };
    env = { XDG_DATA_HOME: folder('data') };
  });

  const commit = (text: string): void =>
    withDatabase(
      place.database,
      (db) => void db.prepare('INSERT INTO items (name) VALUES (?)').run(text),
    );
  const restore = (id: string): Promise<{ code: number | null; stderr: string }> =>
    runCli(['restore', id, place.database, '--yes'], { env });

  const all = incidents.flatMap((incident, index) =>
    (Object.keys(dialects) as Dialect[]).map((dialect, nth) => ({
      ...{ incident, dialect },
      // Each dialect comes in a sample.
      order: (index + nth * 5) % incidents.length,
    })),
  );
  const ordered = all.toSorted((a, b) => a.order - b.order);

  for (const { incident, dialect } of sampleOf(ordered, 2)) {
    it(`${incident.name}: brought back to the last commit (${dialect})`, async () => {
      const { tool, input } = incident;
      const send = async (
        event: 'SessionStart' | 'UserPromptSubmit' | 'PreToolUse' | 'PostToolUse',
      ): Promise<string> => {
        const isOfTool = event.endsWith('ToolUse');
        const fields = { event, cwd: place.work, ...(isOfTool && { tool, input }) };
        const { code, answer } = await sendToHook(dialects[dialect](fields), { env });
        assert.equal(code, 0);
        assert.equal(answer.hookSpecificOutput?.permissionDecision, undefined);
        return answer.hookSpecificOutput?.additionalContext ?? '';
      };
      const running = await incident.before?.(place);
      await send('UserPromptSubmit');
      // What is written after the prompt, and before the tool, is not to be lost either.
      commit('the last commit');
      const expected = contentOf(place.database);

      assert.equal(await send('PreToolUse'), '');
      await incident.act(place, running);
      const told = await send('PostToolUse');

      const [, id = ''] = /(?<!\S)app\.db [^.]*checkpoint ([0-9a-f]{8})/.exec(told) ?? [];
      assert.notEqual(id, '', told);
      await killRunning();
      if (incident.makeWay !== undefined) {
        assert.match((await restore(id)).stderr, /is a folder.*\n.*rename the folder first/);
        incident.makeWay(place);
      }
      const { code, stderr } = await restore(id);
      assert.equal(code, 0, stderr);
      assert.deepEqual(contentOf(place.database), expected);
    });
  }

  it('a list of dangerous commands, as others have it, knows few of them', () => {
    const known = incidents.filter(looksDangerous).map(({ name }) => name);
    assert.deepEqual(known, [
      'rm',
      'git clean -fdX, with backups in the work tree',
      'prisma migrate reset, replayed: the file is emptied, and the tables are made again',
    ]);
  });

  for (const incident of sampleOf(incidents, 1)) {
    it(`the list of dangerous commands, which saves what matches: ${incident.name}`, async () => {
      const running = await incident.before?.(place);
      await checkpoint(); // At the start of the session.
      commit('the last commit');
      const expected = contentOf(place.database);
      const newest = looksDangerous(incident) ? await checkpoint() : undefined;
      await incident.act(place, running);
      await killRunning();
      const isBack =
        newest !== undefined &&
        (await restore(newest)).code === 0 &&
        JSON.stringify(contentOf(place.database)) === JSON.stringify(expected);
      assert.equal(isBack, knownToTheList(incident));
    });
  }

  async function checkpoint(): Promise<string> {
    const { stdout } = await runCli(['checkpoint', place.database], { env });
    return stdout.slice(0, 12);
  }

  const knownToTheList = ({ name }: Incident): boolean => /^(rm|git clean|prisma)/.test(name);
});
