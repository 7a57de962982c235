import type { DeepReadonly } from '../../meta/object-meta.ts'
import { bool, message, opt, quantity, req, type Static, str } from '../schema.ts'

const core = 'io.k8s.api.core.v1'

export const objectFieldSelectorSchema = message(`${core}.ObjectFieldSelector`, 'A field of the pod itself.', {
  apiVersion: opt(str(), 'Version of the schema that fieldPath speaks of.', { tag: 1, default: 'v1' }),
  fieldPath: req(str(), 'Path of the field, as in metadata.name.', { tag: 2 }),
})

export const resourceFieldSelectorSchema = message(
  `${core}.ResourceFieldSelector`,
  'A resource limit or request of a container.',
  {
    containerName: opt(str(), 'The container; needed in volumes, its own container in variables.', { tag: 1 }),
    resource: req(str(), 'The resource, as in limits.memory.', { tag: 2 }),
    divisor: opt(quantity(), 'Unit of the result: 1 when zero or left out.', { tag: 3, default: '0' }),
  },
)

const configMapKeySelectorSchema = message(`${core}.ConfigMapKeySelector`, 'A key of a ConfigMap.', {
  name: opt(str(), 'Name of the ConfigMap.', { tag: 1, within: 1 }),
  key: req(str(), 'The key.', { tag: 2 }),
  optional: opt(bool(), 'Whether the ConfigMap or the key may be missing.', { tag: 3, pointer: true }),
})

const secretKeySelectorSchema = message(`${core}.SecretKeySelector`, 'A key of a Secret.', {
  name: opt(str(), 'Name of the Secret.', { tag: 1, within: 1 }),
  key: req(str(), 'The key.', { tag: 2 }),
  optional: opt(bool(), 'Whether the Secret or the key may be missing.', { tag: 3, pointer: true }),
})

const envVarSourceSchema = message(`${core}.EnvVarSource`, 'Where the value of a variable comes from; exactly one is given.', {
  fieldRef: opt(objectFieldSelectorSchema, 'A field of the pod.', { tag: 1 }),
  resourceFieldRef: opt(resourceFieldSelectorSchema, 'A resource of a container.', { tag: 2 }),
  configMapKeyRef: opt(configMapKeySelectorSchema, 'A key of a ConfigMap.', { tag: 3 }),
  secretKeyRef: opt(secretKeySelectorSchema, 'A key of a Secret.', { tag: 4 }),
})
export type EnvVarSource = DeepReadonly<Static<typeof envVarSourceSchema>>

export const envVarSchema = message(`${core}.EnvVar`, 'An environment variable.', {
  name: req(str(), 'Name of the variable.', { tag: 1 }),
  value: opt(str(), 'Value; $(NAME) stands for an earlier variable, $$(NAME) for the text itself.', { tag: 2 }),
  valueFrom: opt(envVarSourceSchema, 'Where the value comes from; not together with value.', { tag: 3 }),
})
export type EnvVar = DeepReadonly<Static<typeof envVarSchema>>

const envSourceFields = (what: string) => ({
  name: opt(str(), `Name of the ${what}.`, { tag: 1, within: 1 }),
  optional: opt(bool(), `Whether the ${what} may be missing.`, { tag: 2, pointer: true }),
})

export const envFromSourceSchema = message(
  `${core}.EnvFromSource`,
  'All keys of a ConfigMap or Secret as environment variables.',
  {
    prefix: opt(str(), 'Text before each name.', { tag: 1 }),
    configMapRef: opt(
      message(`${core}.ConfigMapEnvSource`, 'All keys of a ConfigMap.', envSourceFields('ConfigMap')),
      'The ConfigMap to read.',
      {
        tag: 2,
      },
    ),
    secretRef: opt(
      message(`${core}.SecretEnvSource`, 'All keys of a Secret.', envSourceFields('Secret')),
      'The Secret to read.',
      {
        tag: 3,
      },
    ),
  },
)
export type EnvFromSource = DeepReadonly<Static<typeof envFromSourceSchema>>
