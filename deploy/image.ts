// The example's image, made on the spot from a static busybox: a small web server that says which pod answered.
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { staticBusybox } from './apt.ts'
import { run, type Say, tryRun } from './steps.ts'

export const helloImage = 'skiff/hello:1'

/** busybox httpd runs cgi-bin/index.cgi for a folder without index.html. */
const page = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "\${GREETING:-Hello}, this is pod \${POD_NAME:-$(hostname)}"
`

/** The first process of a container ignores SIGTERM unless it asks for it, so the shell asks and passes it on. */
const server = `#!/bin/sh
trap 'kill $!; exit 0' TERM INT
echo "listening on port \${PORT:-8080}"
httpd -f -v -p "\${PORT:-8080}" -h /www &
wait
`

/** Makes the image unless it is there. */
export async function makeHelloImage(say: Say): Promise<void> {
  const found = await tryRun('docker', ['image', 'inspect', '--format', '{{.Id}}', helloImage])
  if (found.code === 0) return say(`${helloImage} is there`)
  await makeImage(helloImage, ['/hello'], { 'www/cgi-bin/index.cgi': page, hello: server })
  say(`made ${helloImage}`)
}

/** Imports an image of busybox, under all its names, plus the given executable files. */
export async function makeImage(
  name: string,
  command: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const busybox = staticBusybox()
  if (busybox === undefined) throw new Error('busybox-static is not installed')
  const tree = mkdtempSync(join(tmpdir(), 'skiff-image-'))
  try {
    for (const folder of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(tree, folder))
    copyFileSync(busybox, join(tree, 'bin/busybox'))
    const applets = (await run(busybox, ['--list'])).split('\n').filter((name) => name !== '' && name !== 'busybox')
    for (const applet of applets) symlinkSync('busybox', join(tree, 'bin', applet))
    writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')
    writeFileSync(join(tree, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true })
      writeFileSync(join(tree, path), text)
      chmodSync(join(tree, path), 0o755)
    }
    chmodSync(join(tree, 'tmp'), 0o1777)
    chmodSync(tree, 0o755)
    const archive = join(tree, '..', `${tree.split('/').pop()}.tar`)
    await promisify(execFile)('tar', ['--owner=0', '--group=0', '-C', tree, '-cf', archive, '.'])
    const changes = ['-c', `CMD ${JSON.stringify(command)}`, '-c', 'ENV PATH=/bin']
    await run('docker', ['import', ...changes, archive, name]).finally(() => rmSync(archive, { force: true }))
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}
