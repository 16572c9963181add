"""A rendered store with exact truth: `sim://supermarket?seed=7&people=40&minutes=10`.

For training, benchmarks, demos and tests, where no footage with a known truth can be had. `parse`
reads an address, `pictures` draws its frames, `truth.record` says who is really where, and
`camera_config` is the camera as it would be installed. `plan`, `Crowd` and `View` are the parts:
a store, its people, and one camera's picture of them at any pose.
"""

from edge.simulator.calibration import camera_config
from edge.simulator.crowd import Crowd, Turn
from edge.simulator.plans import STORES, plan
from edge.simulator.scene import SCHEME, Scene, address, parse, pictures
from edge.simulator.store import Pose, Store
from edge.simulator.view import View

__all__ = [
    "SCHEME",
    "STORES",
    "Crowd",
    "Pose",
    "Scene",
    "Store",
    "Turn",
    "View",
    "address",
    "camera_config",
    "parse",
    "pictures",
    "plan",
]
