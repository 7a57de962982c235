import { join } from 'node:path'
import process from 'node:process'
import { type Machine, ok, root } from './machine.ts'

/** Makes skiff/hello:1 in the machine's own engine, as npm start does. */
export async function prepareImage(machine: Machine): Promise<void> {
  const code = `import(${JSON.stringify(join(root, 'deploy/image.ts'))}).then((image) => image.makeHelloImage(() => undefined))`
  ok(await machine.run(process.execPath, ['--input-type=module', '-e', code]))
}

/** A pod that runs a shell script in the example's image. */
export const shellPod = (
  name: string,
  script: string,
  more: { readonly spec?: object; readonly container?: object } = {},
): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          name: 'main',
          image: 'skiff/hello:1',
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', script],
          ...more.container,
        },
      ],
      ...more.spec,
    },
  })
