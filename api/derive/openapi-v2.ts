/**
 * `/openapi/v2`, which has been replaced by `/openapi/v3`. kubectl still asks for it when version 3 does not know a kind,
 * and only then says that there is no such kind; so it is served without kinds, pointing to version 3.
 */
const title = 'Skiff: the schemas stand in /openapi/v3'

export const openApiV2Json = (version: string): string =>
  JSON.stringify({ swagger: '2.0', info: { title, version }, paths: {}, definitions: {} })

/** What clients in Go ask for, and what the answer is called. */
export const openApiV2Protobuf = {
  accepted: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  /** `swagger`, `info` with title and version, `paths`. All of it is ASCII. */
  body: (version: string): string => field(1, '2.0') + field(2, field(1, title) + field(2, version)) + field(8, ''),
}

/** A text or message in protobuf's encoding; one of up to 127 characters. */
const field = (tag: number, value: string): string => String.fromCharCode((tag << 3) | 2, value.length) + value
