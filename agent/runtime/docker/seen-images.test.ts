import { expect, test } from 'vitest'
import type { ImageInfo } from '../runtime.ts'
import { SeenImages } from './seen-images.ts'

function images() {
  const seen = new SeenImages()
  let asked = 0
  const image = (id: string): ImageInfo => ({
    ...{ id, tags: [], digests: [], sizeBytes: 1, user: '', entrypoint: [], command: [], variables: [] },
  })
  const engine = { now: image('one') as ImageInfo | undefined, meanwhile: () => undefined as unknown }
  const look = async (ref = 'web:1'): Promise<string | undefined> => {
    const found = await seen.look(ref, async () => {
      asked++
      const answer = engine.now
      engine.meanwhile()
      return answer
    })
    return found?.id
  }
  return { seen, engine, image, look, asked: () => asked }
}

test('an image that nothing has happened to is asked for once', async () => {
  const { seen, look, asked } = images()
  seen.listening()
  expect([await look(), await look(), asked()]).toEqual(['one', 'one', 1])
  expect([await look('web:2'), asked()]).toEqual(['one', 2])
})

test('an event about any image has all asked for again', async () => {
  const { seen, engine, image, look } = images()
  seen.listening()
  await look()
  engine.now = image('two')
  seen.forgetAll()
  expect(await look()).toBe('two')
})

test('an answer that an event has overtaken is used once, and not kept', async () => {
  const { seen, engine, image, look } = images()
  seen.listening()
  engine.meanwhile = () => {
    engine.now = image('two')
    engine.meanwhile = () => undefined
    seen.forgetAll()
  }
  expect([await look(), await look()]).toEqual(['one', 'two'])
})

test('nothing is kept while no events are heard, nor from before', async () => {
  const { seen, look, asked } = images()
  await look()
  await look()
  expect(asked()).toBe(2)
  seen.listening()
  await look()
  seen.deaf()
  await look()
  await look()
  expect(asked()).toBe(5)
  seen.listening()
  await look()
  expect(asked()).toBe(6)
})

test('one that is not there is asked for until it is', async () => {
  const { seen, engine, image, look, asked } = images()
  seen.listening()
  engine.now = undefined
  expect([await look(), await look(), asked()]).toEqual([undefined, undefined, 2])
  engine.now = image('late')
  expect(await look()).toBe('late')
})

test('it holds no more than some hundred names', async () => {
  const { seen, look, asked } = images()
  seen.listening()
  for (let count = 0; count < 300; count++) await look(`web:${count}`)
  await look('web:0')
  expect(asked()).toBe(301)
})
