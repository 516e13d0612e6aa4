import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fitting } from '../../src/agents/fitting.ts';
import { toolNames, tools } from '../../src/agents/toolList.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
const { contributes } = read('package.json') as {
  contributes: {
    languageModelTools: {
      name: string;
      displayName: string;
      modelDescription: string;
      toolReferenceName: string;
      inputSchema: object;
      tags: string[];
    }[];
  };
};
const strings = read('package.nls.json') as Record<string, string>;

describe('the tools for agents', () => {
  it('are the same in the editor and over MCP', () => {
    const contributed = contributes.languageModelTools.map((one) => ({
      name: one.name,
      title: strings[one.displayName.slice(1, -1)],
      description: one.modelDescription,
      inputSchema: one.inputSchema,
    }));
    const ours = toolNames.map((name) => {
      const { title, description, inputSchema } = tools[name];
      return { name, title, description, inputSchema };
    });
    assert.deepEqual(contributed, ours);
  });

  it('have names that VS Code takes, and none that does more than save', () => {
    for (const { name, toolReferenceName, tags } of contributes.languageModelTools) {
      assert.match(name, /^(?!copilot_|vscode_)[\w-]+$/);
      assert.match(toolReferenceName, /^[\w-]+$/);
      for (const tag of tags) assert.doesNotMatch(tag, /^(copilot_|vscode_)/);
      assert.doesNotMatch(name, /backup_(apply|restore|delete|remove|prune|export|extract)/);
    }
  });

  it('answer in 2 KB, with a last line, whatever is in the lines', () => {
    const long = '語'.repeat(5000);
    for (const lines of [
      [],
      [long],
      [long, long],
      ['a', long],
      [long, 'b'],
      Array(900).fill('x y'),
    ]) {
      const text = fitting(lines as string[]);
      assert.ok(Buffer.byteLength(text) <= 2048, `${Buffer.byteLength(text)} bytes`);
      assert.doesNotMatch(text, /^\n|\n$/);
    }
    assert.match(fitting([long, 'b']), /…\nb$/);
    assert.equal(fitting(['a', 'b']), 'a\nb');
    const many = fitting([...Array<string>(900).fill('row'), 'the end']);
    assert.match(many, /\n\((\d+) more lines are left out\)\nthe end$/);
    const shown = many.split('\n').length - 2;
    assert.match(many, new RegExp(`\\(${900 - shown} more`));
  });
});
