//! What the keys in the tables of `round.toml` mean, once, for the file and the form. The keys at its top stand in `config_text`.

/// Every key of the tables of `round.toml` by its full path, with what it means.
pub const DOCUMENTED_SECTIONS: &[(&str, &str)] = &[
    (
        "detector.architecture",
        "resnet50-c4 (the paper's), vgg16, resnet50-fpn, resnet50-half-c4, resnet50-half-fpn or resnet18-fpn; another one than the \
         preset's brings its own defaults for this table.",
    ),
    (
        "detector.flavour",
        "Whose weights the backbone has: torchvision or caffe. They differ in strides, colours and padding.",
    ),
    ("detector.num_classes", "Classes with background: 2 for one class. Follows `classes` where those are named."),
    (
        "detector.classes",
        "Names of the classes that are learnt, label 1 first; empty: all of the project, in its order, when the round begins.",
    ),
    ("detector.shorter_side", "Pixels of an image's shorter side as the network sees it (the paper's: 600)."),
    ("detector.longer_side_cap", "The longer side never exceeds this; then the shorter one is smaller."),
    ("detector.frozen_stages", "Stages of the backbone that do not learn, from the first: 0 none, 2 the usual, 5 all."),
    ("detector.batch_norm_eps", "Added to a variance before its root; must be that of the pretrained weights."),
    ("detector.pyramid_channels", "Channels of the pyramid's maps; unused without a pyramid."),
    ("detector.ellipse_head", "Whether ellipses are learnt beside boxes, where the ground truth has them."),
    (
        "detector.precision",
        "What training and detection compute in: f32, or bf16 on processors that have instructions for it.",
    ),
    ("detector.anchors.sizes", "Square roots of the anchors' areas in network pixels, a list for each feature level."),
    ("detector.anchors.ratios", "Heights over widths of the anchors, for every level."),
    ("detector.rpn.nms_iou", "Of two proposals that overlap by more than this IoU, the lower score goes."),
    ("detector.rpn.min_size", "Proposals with a shorter side below this many network pixels are dropped."),
    ("detector.rpn.train.pre_nms", "Best anchors of each level that become proposals while training."),
    ("detector.rpn.train.post_nms", "Proposals of an image that are left after NMS while training."),
    ("detector.rpn.test.pre_nms", "Best anchors of each level that become proposals when detecting."),
    ("detector.rpn.test.post_nms", "Proposals of an image that are left after NMS when detecting."),
    ("detector.roi.resolution", "Cells along each side of a pooled RoI."),
    ("detector.roi.sampling_ratio", "Sampling points along each side of such a cell."),
    ("detector.roi.hidden", "Width of the two fully connected layers; unused in C4."),
    ("detector.roi.dropout", "Chance that one of their outputs is dropped while training (VGG16's: 0.5)."),
    ("detector.detection.score_threshold", "Detections below this score are not given out, nor evaluated."),
    ("detector.detection.nms_iou", "Of two detections that overlap by more than this IoU, the lower score goes."),
    ("detector.detection.max_detections", "Best detections that are kept of an image."),
    (
        "detector.detection.scale",
        "Pictures are detected on this many times as large as they are trained on (the paper's: 1); costs its square in time.",
    ),
    (
        "sampler.kind",
        "How RoIs are drawn: random (with hard negatives always selected) or ohem (those with the highest loss, which needs no hard \
         negatives: named all the same, they bind the RPN's anchors alone and are candidates for RoIs, but not forced).",
    ),
    ("sampler.batch_per_image", "RoIs of each image in a mini-batch."),
    ("sampler.positive_fraction", "Share of foreground RoIs at most; 0.25 is background to foreground 3:1."),
    (
        "sampler.forced_fraction",
        "Share of an image's RoIs at most that are forced hard negatives; 1 (the paper's): no limit.",
    ),
    ("sampler.fg_iou", "A RoI with at least this IoU with an object is foreground."),
    ("sampler.fg_exclusive", "Whether foreground needs an IoU above fg_iou (the paper's) and not only equal to it."),
    (
        "sampler.bg_iou",
        "A RoI is background if its largest IoU is at least the first and below the second. In images without faces, and for hard \
         negatives, the first does not count.",
    ),
    (
        "sampler.ohem_nms_iou",
        "Of two RoIs that overlap by more than this IoU, ohem leaves out the one of lower loss; unused with random.",
    ),
    ("sampler.rpn_batch_per_image", "Anchors of each image in the RPN's mini-batch."),
    ("sampler.rpn_positive_fraction", "Share of foreground anchors at most."),
    ("sampler.rpn_fg_iou", "An anchor with at least this IoU is foreground; so are the best anchors of each face."),
    ("sampler.rpn_bg_iou", "An anchor below this IoU is background."),
    (
        "sampler.rpn_forced_below",
        "An anchor on a hard negative is forced as background only below this IoU with every object.",
    ),
    ("sampler.rpn_forced_fraction", "Share of the RPN's mini-batch at most that is forced as background."),
    (
        "sampler.rpn_inside_only",
        "Whether anchors that leave the image take no part in training (py-faster-rcnn's rule).",
    ),
    (
        "sampler.box_beta",
        "Where the smooth L1 loss of the box head turns from square to linear: 1 in py-faster-rcnn, 1/9 in torchvision.",
    ),
    ("mining.score_threshold", "Detections on the training images below this score are not mined."),
    ("mining.nms_iou", "Of two detections that overlap by more than this IoU, only the higher score is mined."),
    ("mining.max_detections", "Best detections of an image that are looked at."),
    ("mining.scale", "Pictures are mined this many times as large as they are trained on."),
];
