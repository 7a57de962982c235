import type { DeepReadonly } from '../../meta/object-meta.ts'
import { anyObject, atomicList, bool, int32, int64, message, oneOf, opt, quantity, req, type Static, str } from '../schema.ts'
import { objectFieldSelectorSchema, resourceFieldSelectorSchema } from './env.ts'

const core = 'io.k8s.api.core.v1'

const keyToPathSchema = message(`${core}.KeyToPath`, 'A key and the file it becomes.', {
  key: req(str(), 'The key.', { tag: 1 }),
  path: req(str(), 'Relative path of the file; no "..".', { tag: 2 }),
  mode: opt(int32(), 'Mode bits of the file, 0 to 0777.', { tag: 3, pointer: true }),
})

const downwardFileSchema = message(`${core}.DownwardAPIVolumeFile`, 'A file made from a field of the pod.', {
  path: req(str(), 'Relative path of the file; no "..".', { tag: 1 }),
  fieldRef: opt(objectFieldSelectorSchema, 'A field of the pod.', { tag: 2 }),
  resourceFieldRef: opt(resourceFieldSelectorSchema, 'A resource of a container.', { tag: 3 }),
  mode: opt(int32(), 'Mode bits of the file, 0 to 0777.', { tag: 4, pointer: true }),
})

const defaultMode = (tag: number) =>
  opt(int32(), 'Mode bits of files that do not say otherwise, 0 to 0777.', { tag, pointer: true, default: 0o644 })
const items = opt(atomicList(keyToPathSchema), 'Which keys become files, and where; all when left out.', { tag: 2 })
const optional = opt(bool(), 'Whether the object or its keys may be missing.', { tag: 4, pointer: true })
const downwardItems = opt(atomicList(downwardFileSchema), 'The files.', { tag: 1 })
const named = (kind: string) => opt(str(), `Name of the ${kind}.`, { tag: 1, within: 1 })

const volumeProjectionSchema = message(`${core}.VolumeProjection`, 'One source of a projected volume.', {
  secret: opt(message(`${core}.SecretProjection`, 'Keys of a Secret.', { name: named('Secret'), items, optional }), 'A Secret.', {
    tag: 1,
  }),
  downwardAPI: opt(
    message(`${core}.DownwardAPIProjection`, 'Fields of the pod.', { items: downwardItems }),
    'Fields of the pod.',
    {
      tag: 2,
    },
  ),
  configMap: opt(
    message(`${core}.ConfigMapProjection`, 'Keys of a ConfigMap.', { name: named('ConfigMap'), items, optional }),
    'A ConfigMap.',
    { tag: 3 },
  ),
  serviceAccountToken: opt(
    message(`${core}.ServiceAccountTokenProjection`, 'A token of the service account.', {
      audience: opt(str(), 'Who the token is for.', { tag: 1 }),
      expirationSeconds: opt(int64(), 'How long the token holds.', { tag: 2, pointer: true, default: 3600 }),
      path: req(str(), 'Relative path of the file.', { tag: 3 }),
    }),
    'A token of the service account.',
    { tag: 4, skiff: 'refused' },
  ),
  clusterTrustBundle: opt(anyObject(), 'Certificates of a ClusterTrustBundle.', { tag: 5, skiff: 'refused' }),
})
export type VolumeProjection = DeepReadonly<Static<typeof volumeProjectionSchema>>

const source = (tag: number) => ({ tag, within: 2 }) as const
const refused = (doc: string, tag: number) => opt(anyObject(), doc, { tag, within: 2, skiff: 'refused' })

export const volumeSchema = message(`${core}.Volume`, 'A volume of a pod. Without a source it is an emptyDir.', {
  name: req(str(), 'Name, unique in the pod.', { tag: 1 }),
  hostPath: opt(
    message(`${core}.HostPathVolumeSource`, 'A file or directory of the node.', {
      path: req(str(), 'Path on the node.', { tag: 1 }),
      type: opt(
        oneOf('', 'DirectoryOrCreate', 'Directory', 'FileOrCreate', 'File', 'Socket', 'CharDevice', 'BlockDevice'),
        'What must be there, or is made.',
        { tag: 2, pointer: true, default: '' },
      ),
    }),
    'A file or directory of the node.',
    source(1),
  ),
  emptyDir: opt(
    message(`${core}.EmptyDirVolumeSource`, 'An empty directory that lives as long as the pod.', {
      medium: opt(oneOf('', 'Memory'), 'Memory for a tmpfs; the disk of the node when empty.', { tag: 1 }),
      sizeLimit: opt(quantity(), 'Most that the volume may hold.', { tag: 2, pointer: true }),
    }),
    'An empty directory that lives as long as the pod.',
    source(2),
  ),
  secret: opt(
    message(`${core}.SecretVolumeSource`, 'Keys of a Secret as files.', {
      secretName: opt(str(), 'Name of the Secret.', { tag: 1 }),
      items,
      defaultMode: defaultMode(3),
      optional,
    }),
    'Keys of a Secret as files.',
    source(6),
  ),
  downwardAPI: opt(
    message(`${core}.DownwardAPIVolumeSource`, 'Fields of the pod as files.', {
      items: downwardItems,
      defaultMode: defaultMode(2),
    }),
    'Fields of the pod as files.',
    source(16),
  ),
  configMap: opt(
    message(`${core}.ConfigMapVolumeSource`, 'Keys of a ConfigMap as files.', {
      name: named('ConfigMap'),
      items,
      defaultMode: defaultMode(3),
      optional,
    }),
    'Keys of a ConfigMap as files.',
    source(19),
  ),
  projected: opt(
    message(`${core}.ProjectedVolumeSource`, 'Several sources in one directory.', {
      sources: opt(atomicList(volumeProjectionSchema), 'The sources.', { tag: 1 }),
      defaultMode: defaultMode(2),
    }),
    'Several sources in one directory.',
    source(26),
  ),
  gcePersistentDisk: refused('A disk of Google Cloud.', 3),
  awsElasticBlockStore: refused('A disk of AWS.', 4),
  gitRepo: refused('A git repository.', 5),
  nfs: refused('An NFS export.', 7),
  iscsi: refused('An iSCSI disk.', 8),
  glusterfs: refused('A GlusterFS volume.', 9),
  persistentVolumeClaim: refused('The volume of a PersistentVolumeClaim.', 10),
  rbd: refused('A Ceph block device.', 11),
  flexVolume: refused('A volume of a FlexVolume driver.', 12),
  cinder: refused('A disk of OpenStack.', 13),
  cephfs: refused('A CephFS directory.', 14),
  flocker: refused('A Flocker volume.', 15),
  fc: refused('A Fibre Channel disk.', 17),
  azureFile: refused('A file share of Azure.', 18),
  vsphereVolume: refused('A disk of vSphere.', 20),
  quobyte: refused('A Quobyte volume.', 21),
  azureDisk: refused('A disk of Azure.', 22),
  photonPersistentDisk: refused('A disk of Photon.', 23),
  portworxVolume: refused('A Portworx volume.', 24),
  scaleIO: refused('A ScaleIO volume.', 25),
  storageos: refused('A StorageOS volume.', 27),
  csi: refused('A volume of a CSI driver.', 28),
  ephemeral: refused('A claim that lives as long as the pod.', 29),
  image: refused('The files of an image.', 30),
})
export type Volume = DeepReadonly<Static<typeof volumeSchema>>
