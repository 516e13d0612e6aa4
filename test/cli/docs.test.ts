import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { madeFiles } from '../support/docs.ts';
import { root } from '../support/processes.ts';

describe('what npm run docs makes', () => {
  it('says of commands, settings and verbs what package.json and the verbs say', async () => {
    for (const { path, is, mustBe } of await madeFiles())
      assert.ok(is === mustBe, `${path} is stale: run npm run docs`);
  });

  it('is behind a README that fits on a few screens', () => {
    const lines = readFileSync(join(root, 'README.md'), 'utf8').split('\n').length;
    assert.ok(lines <= 150, `${lines} lines`);
  });
});
