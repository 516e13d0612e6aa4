import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Frame, Page } from 'playwright-core';

const AXE = resolve(import.meta.dirname, '../../node_modules/axe-core/axe.min.js');

/**
 * Left out because VS Code renders it so for every extension: the texts of label and description of a tree row follow each
 * other without a blank (`Today3 backups`), so that no name of a row can contain them as axe wants it (what the rule is
 * about is asked of the rows themselves, see `namesWithoutTheirText`), the boxes of rows have a `tabindex` above 0, and the
 * welcomes of two views are regions of the same name.
 */
const ofEveryView = ['label-content-name-mismatch', 'tabindex', 'landmark-unique'];

interface Violation {
  id: string;
  nodes: { target: unknown[]; html: string; failureSummary?: string }[];
}

/** What axe finds in the parts of the window that `selectors` name, one line for each element. */
export async function accessibilityProblems(
  page: Page | Frame,
  selectors: string[],
): Promise<string[]> {
  await page.evaluate(readFileSync(AXE, 'utf8'));
  const violations = await page.evaluate(
    async ([include, rules]) => {
      const { axe } = globalThis as unknown as {
        axe: { run: (context: object, options: object) => Promise<{ violations: Violation[] }> };
      };
      const off = Object.fromEntries(rules.map((rule) => [rule, { enabled: false }]));
      return (await axe.run({ include: include.map((one) => [one]) }, { rules: off })).violations;
    },
    [selectors, ofEveryView] as const,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, html }) => `${id}: ${target.join(' ')}: ${html.slice(0, 200)}`),
  );
}

/** Rows of trees whose name for screen readers lacks what the row shows. */
export async function namesWithoutTheirText(page: Page): Promise<string[]> {
  const problems: string[] = [];
  for (const row of await page.locator('.part.sidebar .pane').getByRole('treeitem').all()) {
    const name = (await row.getAttribute('aria-label')) ?? '';
    const texts = await row.locator('.label-name, .label-description').allTextContents();
    if (!texts.every((text) => name.includes(text))) problems.push(`${name}: ${texts.join(' | ')}`);
  }
  return problems;
}
