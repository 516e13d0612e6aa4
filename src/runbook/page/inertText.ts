/** Text as it reads, with control and direction characters made visible, but for ends of lines and tabs. */
export function inertText(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character) =>
    character === '\n' || character === '\t' ? character : '\ufffd',
  );
}
