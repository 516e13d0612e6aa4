import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const source = resolve(import.meta.dirname, '../../src');

/** Processes, threads and files are no persons; and what has to be decoded has a plain form. */
const banned = [
  /\b(whoever|nobody|somebody|anybody|everybody)('s)?\b/i,
  /\b(is|are) no more\b/i,
  /\bwhat is live\b/i,
  /\bas you say\b/i,
  /\bhelps no one\b/i,
];

describe('the words of the source', () => {
  it('have one clock: times are made for a person in one place', () => {
    const found = globSync('{editor,runbook}/**/*.ts', { cwd: source }).filter((path) =>
      /toLocale(Date|Time)String|DateTimeFormat/.test(readFileSync(join(source, path), 'utf8')),
    );
    assert.deepEqual(found, ['editor/times.ts']);
    const times = readFileSync(join(source, 'editor/times.ts'), 'utf8');
    assert.equal(times.match(/timeStyle|hour:/g)?.length, times.match(/, hourCycle \}/g)?.length);
  });

  it('are those of processes and files, in comments and in what people read', () => {
    const files = globSync('**/*.ts', { cwd: source });
    assert.ok(files.length > 50);
    const found = files.flatMap((path) =>
      readFileSync(join(source, path), 'utf8')
        .split('\n')
        .flatMap((line, index) =>
          banned.some((pattern) => pattern.test(line))
            ? [`${path}:${index + 1} ${line.trim()}`]
            : [],
        ),
    );
    assert.deepEqual(found, []);
  });
});
