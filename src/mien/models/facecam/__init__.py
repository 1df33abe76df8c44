"""FaceCAM (Taherkhani et al., WACV 2023): new people with controlled expression, intensity and style."""

from mien.models.facecam.model import FaceCAM

__all__ = ["FaceCAM"]
