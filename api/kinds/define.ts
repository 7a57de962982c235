import { type Static, type TObject, type TSchema, Type } from 'typebox'
import type { ApiObject, DeepReadonly, ObjectMeta } from '../meta/object-meta.ts'
import type { FieldError, ResourceName } from '../meta/status.ts'
import { objectMetaSchema } from './object-meta-schema.ts'

export type Scope = 'Namespaced' | 'Cluster'
export type Cell = string | number | boolean | null | undefined

/** A printed column (`kubectl get`). Columns with `wide` show under `-o wide` only. */
export interface Column<O> {
  readonly name: string
  readonly type?: 'string' | 'integer' | 'date'
  readonly wide?: boolean
  readonly doc?: string
  /** `nowMs` is epoch milliseconds, for ages. */
  cell(object: O, nowMs: number): Cell
}

/** A method's type, so that a kind of pods is also a kind of objects. */
export type FieldReader<O> = { read(object: O): string }['read']

/** What a write means for one kind, where schema and defaults cannot say it. All pure. */
export interface Strategy<O> {
  /** Fills what the schema's defaults cannot: values that depend on other fields. Called on every write. */
  default?(object: O): O
  /** Called before validation of a create: drops status, sets what the server owns. */
  prepareForCreate?(object: O): O
  /** Called before validation of an update through the main resource; `old` is what is stored. */
  prepareForUpdate?(object: O, old: O): O
  /** Semantic rules; the schema has passed. */
  validate?(object: O): readonly FieldError[]
  /** What an update may not change, and transitions. `validate` runs too. */
  validateUpdate?(object: O, old: O): readonly FieldError[]
  validateStatusUpdate?(object: O, old: O): readonly FieldError[]
  /** Seconds a deletion without its own grace period waits for the kind's agent. undefined: none, deleted at once. */
  deleteGraceSeconds?(object: O): number | undefined
  /** Fields that `fieldSelector` may name beside metadata.name and metadata.namespace. */
  readonly selectableFields?: Readonly<Record<string, FieldReader<O>>>
  /** Whether the spec decides the generation; false for kinds without spec. Default: the kind has a spec. */
  readonly hasGeneration?: boolean
  /** The scale subresource: where the count and the selector stand. */
  readonly scale?: {
    getReplicas(object: O): number
    setReplicas(object: O, replicas: number): O
    observed(object: O): { replicas: number; selector: string }
  }
}

export interface KindSpec<B extends Record<string, TSchema>> {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular?: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly scope: Scope
  /** `status` splits spec and status writes; `scale`, `binding`, `log`, `exec` … are served by the API server. */
  readonly subresources?: readonly string[]
  readonly doc: string
  /** OpenAPI definition name, as in `io.k8s.api.core.v1.Pod`. */
  readonly schemaName: string
  /** The fields beside apiVersion, kind and metadata: usually `spec` and `status`. */
  readonly body: B
}

export interface KindDef<O extends ApiObject = ApiObject> extends ResourceName {
  readonly version: string
  readonly apiVersion: string
  readonly listKind: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly scope: Scope
  readonly subresources: readonly string[]
  readonly doc: string
  readonly schema: TObject
  readonly columns: readonly Column<O>[]
  readonly strategy: Strategy<O>
  /** Never set: carries the object's type. */
  readonly __object?: O
}

type BodyOf<B extends Record<string, TSchema>> = DeepReadonly<Static<TObject<B>>>
/** The object type of a kind: `type Pod = ObjectOf<typeof Pod>`. */
export type ObjectOf<K> = K extends KindDef<infer O> ? O : never

/**
 * Declares a kind once (law 1). Everything else derives from the value: paths, keys, discovery, tables, OpenAPI,
 * explain, patch metadata, protobuf. Columns and strategy are given in a second step so that their types are inferred
 * from the body:
 *
 *     export const ConfigMap = defineKind({ …, body: { data: opt(stringMap(), '…', { tag: 2 }) } })({ columns: […], strategy: {…} })
 *     export type ConfigMap = ObjectOf<typeof ConfigMap>
 */
export function defineKind<const B extends Record<string, TSchema>>(spec: KindSpec<B>) {
  type O = BodyOf<B> & { readonly apiVersion: string; readonly kind: string; readonly metadata: ObjectMeta }
  return ({ columns, strategy = {} }: { columns: readonly Column<O>[]; strategy?: Strategy<O> }): KindDef<O> => ({
    group: spec.group,
    version: spec.version,
    apiVersion: spec.group === '' ? spec.version : `${spec.group}/${spec.version}`,
    kind: spec.kind,
    listKind: `${spec.kind}List`,
    plural: spec.plural,
    singular: spec.singular ?? spec.kind.toLowerCase(),
    shortNames: spec.shortNames ?? [],
    categories: spec.categories ?? [],
    scope: spec.scope,
    subresources: spec.subresources ?? [],
    doc: spec.doc,
    schema: Type.Object(
      {
        apiVersion: Type.Optional(Type.String({ description: 'Group and version of this object’s schema.' })),
        kind: Type.Optional(Type.String({ description: 'The kind of this object.' })),
        metadata: Type.Optional({ ...objectMetaSchema, 'x-proto': 1 }),
        ...spec.body,
      },
      {
        description: spec.doc,
        'x-name': spec.schemaName,
        additionalProperties: false,
        'x-kubernetes-group-version-kind': [{ group: spec.group, version: spec.version, kind: spec.kind }],
      },
    ) as unknown as TObject,
    columns,
    strategy,
  })
}
