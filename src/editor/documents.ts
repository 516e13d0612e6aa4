import * as vscode from 'vscode';

/** Read-only texts of ours in VS Code's own editors: comparisons, schemas, plans. Forgotten when they are closed. */
export class Documents implements vscode.TextDocumentContentProvider, vscode.Disposable {
  static readonly scheme = 'sqlite-backup';
  readonly #texts = new Map<string, string>();
  readonly #registration: vscode.Disposable;
  #count = 0;

  constructor() {
    this.#registration = vscode.Disposable.from(
      vscode.workspace.registerTextDocumentContentProvider(Documents.scheme, this),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#texts.delete(uri.toString())),
    );
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#texts.get(uri.toString()) ?? '';
  }

  /** A Uri under which `text` can be opened; `name` is what its tab shows. */
  add(name: string, text: string): vscode.Uri {
    const path = `/${++this.#count}/${name.replace(/[/\\]/g, '_')}`;
    const uri = vscode.Uri.from({ scheme: Documents.scheme, path });
    this.#texts.set(uri.toString(), text);
    return uri;
  }

  async show(name: string, text: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.add(name, text));
    await vscode.window.showTextDocument(document, { preview: false });
  }

  dispose(): void {
    this.#registration.dispose();
  }
}
