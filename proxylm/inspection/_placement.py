"""Names beside points, where they cover neither each other nor what is drawn."""

import numpy as np

# Where a name may stand: to the right and left of its point, below and above.
SIDES = {
    (1, 0): ("left", "center"),
    (-1, 0): ("right", "center"),
    (0, -1): ("center", "top"),
    (0, 1): ("center", "bottom"),
    (1, -1): ("left", "top"),
    (1, 1): ("left", "bottom"),
    (-1, -1): ("right", "top"),
    (-1, 1): ("right", "bottom"),
}
DISTANCES = (7, 13, 22, 34, 48)  # of a name from its point, in points
START = {"left": 0, "center": 0.5, "right": 1, "bottom": 0, "top": 1}
OUTSIDE = 10  # how much worse it is to leave the axes than to cover something
N_ORDERS = 100  # in which names take their places


def covered_areas(boxes, others):
    """Area of each box, (left, low, right, high), that others have too, as a sum."""
    boxes = boxes[:, None]
    sizes = np.minimum(boxes[..., 2:], others[:, 2:])
    sizes -= np.maximum(boxes[..., :2], others[:, :2])
    return np.prod(np.clip(sizes, 0, None), axis=-1).sum(axis=-1)


def gaps(boxes, spots):
    """Distance of each box to each spot."""
    boxes = boxes[:, None]
    sides = np.maximum(boxes[..., :2] - spots, spots - boxes[..., 2:])
    return np.hypot(*np.moveaxis(np.clip(sides, 0, None), -1, 0))


def line_boxes(ax, vertices, width=2.0):
    """Boxes around the horizontal and vertical pieces of a line, in pixels."""
    ends = ax.transData.transform(vertices)
    low = np.minimum(ends[:-1], ends[1:]) - width
    return np.hstack([low, np.maximum(ends[:-1], ends[1:]) + width])


def choose_places(boxes, costs):
    """Choose a place for each name, so that they cover little of each other.

    In some orders, the cheapest place beside those that have one; the best of these.

    Parameters
    ----------
    boxes : ndarray of shape (n_names, n_places, 4)
    costs : ndarray of shape (n_names, n_places)
        What each place costs by itself.

    Returns
    -------
    places : ndarray of shape (n_names,)
    """
    n_names = len(boxes)
    rng = np.random.default_rng(0)
    orders = [np.arange(n_names), *(rng.permutation(n_names) for _ in range(N_ORDERS))]
    best, lowest = None, np.inf
    for order in orders:
        places, total = np.zeros(n_names, dtype=int), 0.0
        written = np.empty((0, 4))
        for name in order:
            all_costs = costs[name] + covered_areas(boxes[name], written)
            places[name] = all_costs.argmin()
            total += all_costs.min()
            written = np.vstack([written, boxes[name, places[name]]])
        if total < lowest:
            best, lowest = places, total
    return best


def place_names(ax, names, taken):
    """Write names beside their points, near and where they cover least.

    A thin line leads to those that are farther off.

    Parameters
    ----------
    ax : Axes
        With its limits and its layout settled.
    names : list of (name, (x, y), color)
        The points in units of the data.
    taken : ndarray of shape (n_boxes, 4)
        What may not be covered, (left, low, right, high) in pixels.

    Returns
    -------
    labels : list of Annotation
    """
    scale = ax.figure.dpi / 72
    frame = np.array([ax.get_window_extent().extents])
    spots = ax.transData.transform([point for _, point, _ in names])
    taken = np.vstack([taken, np.hstack([spots - 4 * scale, spots + 4 * scale])])
    places = [(d * np.array(side), side) for d in DISTANCES for side in SIDES]
    offsets = np.array([offset for offset, _ in places])
    starts = np.array([[START[start] for start in SIDES[side]] for _, side in places])
    labels, boxes, costs = [], [], []
    for i, (name, point, color) in enumerate(names):
        label = ax.annotate(
            name,
            xy=point,
            xytext=(0, 0),
            textcoords="offset points",
            fontsize="small",
            color=color,
            zorder=4,
        )
        size = np.array(label.get_window_extent().size)
        low = spots[i] + scale * offsets - size * starts
        box = np.hstack([low, low + size])
        outside = size.prod() - covered_areas(box, frame)
        gap = gaps(box, spots)
        # To stand nearer to another point is as bad as to be covered.
        is_astray = gap.min(axis=1) < gap[:, i] - 2 * scale
        cost = covered_areas(box, taken) + OUTSIDE * outside + size.prod() * is_astray
        labels.append(label)
        boxes.append(box)
        costs.append(cost + np.repeat(DISTANCES, len(SIDES)) / 10)
    chosen = choose_places(np.array(boxes), np.array(costs))
    for label, place, (_, point, color) in zip(labels, chosen, names, strict=True):
        ha, va = SIDES[places[place][1]]
        label.set(position=offsets[place], ha=ha, va=va)
        if place >= len(SIDES):
            line = {"arrowstyle": "-", "color": color, "linewidth": 0.6}
            ax.annotate(
                "",
                xy=point,
                xytext=offsets[place],
                textcoords="offset points",
                arrowprops=line | {"shrinkA": 1, "shrinkB": 4},
            )
    return labels
