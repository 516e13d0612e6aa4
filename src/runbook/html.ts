import { randomBytes } from 'node:crypto';

export interface PageSources {
  /** `webview.cspSource` */
  cspSource: string;
  /** Web addresses of the page's script in `dist`, and of its style sheets in `media`. */
  script: string;
  style: string;
  moreStyle?: string;
  /** `vscode.env.language` */
  language: string;
  title: string;
}

/** A page before its first state. It loads its script and style sheets, and nothing else, from anywhere. */
export function runbookHtml({
  cspSource,
  script,
  style,
  moreStyle,
  language,
  title,
}: PageSources): string {
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    `default-src 'none'`,
    `style-src ${cspSource}`,
    `script-src 'nonce-${nonce}'`,
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ');
  return `<!doctype html>
<html lang="${escapeHtml(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
${[style, moreStyle ?? []]
  .flat()
  .map((address) => `<link rel="stylesheet" href="${escapeHtml(address)}">`)
  .join('\n')}
</head>
<body>
<div id="runbook"></div>
<div id="announcer" class="unseen" role="status"></div>
<script nonce="${nonce}" src="${escapeHtml(script)}"></script>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
