import { definePlugin } from './plugin.ts'

const mebibyte = 1024 * 1024
/** Below nothing is gained, above no more (Kubernetes: 23 MB, and 1000 MB per container). */
const leastBytes = 23 * mebibyte
const mostBytes = 1000 * mebibyte

/** The name that engines list an image under when it was asked for without a tag. */
const normalized = (image: string): string => (/[:@][^/]*$/.test(image) ? image : `${image}:latest`)

/** Rather where large images are already. */
export const imageLocality = definePlugin<readonly string[]>({
  name: 'ImageLocality',
  prepare: (pod) => pod.spec.containers.map(({ image }) => normalized(image ?? '')),
  score: (images, node) => {
    const bytes = images.reduce((sum, image) => sum + (node.images.get(image) ?? 0), 0)
    const most = mostBytes * Math.max(images.length, 1)
    return (100 * (Math.min(Math.max(bytes, leastBytes), most) - leastBytes)) / (most - leastBytes)
  },
  scale: 'none',
})
