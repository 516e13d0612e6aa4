import * as vscode from 'vscode';

/** Shows a file where the person looks for files: the Explorer inside the workspace, else the system's file manager. */
export async function reveal(uri: vscode.Uri): Promise<void> {
  const inWorkspace = vscode.workspace.getWorkspaceFolder(uri) !== undefined;
  await vscode.commands.executeCommand(inWorkspace ? 'revealInExplorer' : 'revealFileInOS', uri);
}

/** Lets a backups folder ignore itself: nothing outside of it is touched, and an existing file stays as it is. */
export async function ignoreInGit(folder: vscode.Uri): Promise<void> {
  const uri = vscode.Uri.joinPath(folder, '.gitignore');
  const edit = new vscode.WorkspaceEdit();
  edit.createFile(uri, { overwrite: false, ignoreIfExists: true, contents: Buffer.from('*\n') });
  await vscode.workspace.applyEdit(edit);
}
