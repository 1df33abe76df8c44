// The parts of three.js that Mien's pages use, bundled into three.min.js as the global THREE.
export {
  AnimationMixer, BackSide, Box3, BufferAttribute, BufferGeometry, Color, DirectionalLight, DoubleSide,
  DynamicDrawUsage, FrontSide, Group, HemisphereLight, Mesh, MeshBasicMaterial, MeshLambertMaterial,
  MeshPhysicalMaterial, NeutralToneMapping, PCFSoftShadowMap, PerspectiveCamera, PMREMGenerator, RepeatWrapping, Scene,
  ShaderChunk, SphereGeometry, SRGBColorSpace, Texture, Vector3, WebGLRenderer,
} from 'three';
export { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
export { GLTFLoader } from 'three/examples/jsm/loaders/GLTFLoader.js';
export { RoomEnvironment } from 'three/examples/jsm/environments/RoomEnvironment.js';
