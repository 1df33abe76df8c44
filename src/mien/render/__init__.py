"""Pictures of meshes by ray casting, and the way back from a picture to the mesh."""
