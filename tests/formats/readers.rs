//! Common variants of each format, and bad records.

use quarry::dataset::formats::{ExifRule, ReadOptions, read_auto, recognise};
use quarry::domain::Cancel;

use crate::exif::with_orientation;
use crate::support::{Set, bad, check, check_bad};

const COCO: &str = r#"{
  "annotations": [
    {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0},
    {"id": 2, "image_id": "7", "category_id": 90.0, "bbox": [1.5, 2, 3, 4], "iscrowd": 1},
    {"id": 3, "image_id": 8.0, "category_id": 3, "segmentation": [[5, 5, 25, 5, 25, 15]]},
    {"id": 4, "image_id": 8, "category_id": "90", "segmentation": {"size": [80, 100], "counts": [81, 2, 78, 2, 7837]}}
  ],
  "categories": [{"id": 3, "name": "car"}, {"id": 90, "name": "tooth brush", "supercategory": "x"}],
  "images": [
    {"id": 7, "file_name": "a #1 %20.png", "width": 100, "height": 80},
    {"id": 8, "file_name": "sub/ü.png"},
    {"id": 9, "file_name": "empty.PNG"}
  ]
}"#;

const COCO_READ: &str = "
    val2017/a #1 %20.png [val]
      car 10 20 40 60
      tooth brush 1.5 2 4.5 6 ignored
    val2017/sub/ü.png [val]
      car 5 5 25 15
      tooth brush 1 1 3 3
    val2017/empty.png [val]";

#[test]
fn coco_in_any_order_with_ids_of_any_type() {
    let set = Set::new(&["val2017/a #1 %20.png", "val2017/sub/ü.png", "val2017/empty.png", "x/empty.png"]);
    set.write("annotations/instances_val2017.json", COCO);
    for path in ["", "annotations", "annotations/instances_val2017.json"] {
        let dataset = set.read("coco", path).unwrap();
        check(&dataset, COCO_READ);
        check_bad(&dataset, &[]);
        assert_eq!(dataset.classes, ["car", "tooth brush"]);
    }
    let options = ReadOptions { images: Some(set.path("val2017")), ..ReadOptions::default() };
    let dataset = set.read_with("coco", "annotations/instances_val2017.json", &options).unwrap();
    check(&dataset, &COCO_READ.replace("val2017/", ""));
    let bom = [b"\xEF\xBB\xBF".as_slice(), COCO.as_bytes()].concat();
    check(&set.write("annotations/instances_val2017.json", bom).read("coco", "").unwrap(), COCO_READ);
}

/// Two objects with one id, in any order of ids: the first is kept. Without ids all are.
#[test]
fn an_annotation_id_of_coco_stands_for_one_object() {
    let check_ids = |ids: [&str; 4], kept: &[usize], expected: &[&str]| {
        let set = Set::new(&["a.png"]);
        let annotation =
            |(k, id): (usize, &&str)| format!(r#"{{{id} "image_id": 1, "category_id": 1, "bbox": [{k}, 0, 9, 9]}}"#);
        let annotations: Vec<String> = ids.iter().enumerate().map(annotation).collect();
        let text = format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.png"}}], "annotations": [{}], "categories": [{{"id": 1, "name": "car"}}]}}"#,
            annotations.join(",\n")
        );
        let dataset = set.write("c.json", text).read("coco", "c.json").unwrap();
        let objects: Vec<String> = kept.iter().map(|&x| format!("\n car {x} 0 {} 9", x + 9)).collect();
        check(&dataset, &format!("a.png{}", objects.concat()));
        check_bad(&dataset, expected);
    };
    let again =
        |k: usize, id: &str| format!("c.json:{}: annotations[{k}]: id {id} is taken by an earlier annotation", k + 1);
    check_ids([r#""id": 1,"#, r#""id": 2,"#, r#""id": 3,"#, r#""id": 4,"#], &[0, 1, 2, 3], &[]);
    check_ids([r#""id": 9,"#, r#""id": 2,"#, r#""id": -3,"#, r#""id": 0,"#], &[0, 1, 2, 3], &[]);
    check_ids([r#""id": 1,"#, r#""id": 1,"#, r#""id": 2,"#, r#""id": 3,"#], &[0, 2, 3], &[&again(1, "1")]);
    check_ids(
        [r#""id": 5,"#, r#""id": 3,"#, r#""id": "5","#, r#""id": 3.0,"#],
        &[0, 1],
        &[&again(2, "5"), &again(3, "3")],
    );
    check_ids(["", "", r#""id": null,"#, r#""id": "x","#], &[0, 1, 2, 3], &[]);
}

#[test]
fn several_coco_files_are_splits_and_the_same_name_in_two_folders_is_two_images() {
    let set = Set::new(&["train2017/1.png", "val2017/1.png"]);
    let file = |x: u32| {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "1.png"}}], "categories": [{{"id": 1, "name": "car"}}],
                  "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [{x}, 0, 9, 9]}}]}}"#
        )
    };
    set.write("annotations/instances_train2017.json", file(1)).write("annotations/instances_val2017.json", file(2));
    set.write("annotations/captions_val2017.json", r#"{"images": [], "annotations": []}"#);
    let dataset = set.read("coco", "").unwrap();
    check(&dataset, "train2017/1.png [train]\n car 1 0 10 9\n val2017/1.png [val]\n car 2 0 11 9");
    let only = |split: &str| ReadOptions { split: Some(split.to_owned()), ..ReadOptions::default() };
    check(&set.read_with("coco", "", &only("val")).unwrap(), "val2017/1.png [val]\n car 2 0 11 9");
    let error = set.read_with("coco", "", &only("test")).unwrap_err().to_string();
    assert!(error.contains("no split `test`") && error.contains("train, val"), "{error}");

    let roboflow = Set::new(&["train/1.png", "valid/1.png"]);
    roboflow.write("train/_annotations.coco.json", file(1)).write("valid/_annotations.coco.json", file(2));
    check(
        &roboflow.read("coco", "").unwrap(),
        "train/1.png [train]\n car 1 0 10 9\n valid/1.png [valid]\n car 2 0 11 9",
    );
}

#[test]
fn bad_coco_records_are_told_one_by_one() {
    let set = Set::new(&["a.png"]);
    set.write(
        "c.json",
        r#"{"images": [{"id": 1, "file_name": "a.png"}, {"file_name": "a.png"}, {"id": 1, "file_name": "b.png"}, 5,
              {"id": 2, "file_name": "../../etc/passwd"}, {"id": 3, "file_name": "/etc/passwd"}, {"id": 4},
              {"id": 6, "file_name": "gone.png"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]},
              {"image_id": 99, "category_id": 1, "bbox": [1, 1, 5, 5]}, {"image_id": 1, "category_id": 2, "bbox": [1, 1, 5, 5]},
              {"image_id": 1, "category_id": 1, "bbox": [1, 1, -5, 5]}, {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5]},
              {"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 1, "bbox": "1 1 5 5"}, null,
              {"image_id": 1.5, "category_id": 1, "bbox": [1, 1, 5, 5]}, {"image_id": 1, "category_id": 1, "bbox": [500, 1, 5, 5]}],
            "categories": [{"id": 1, "name": "car"}, {"id": 1, "name": "bus"}, {"id": 3}]}"#,
    );
    let dataset = set.read("coco", "c.json").unwrap();
    check(&dataset, "a.png\n car 1 1 6 6");
    assert_eq!(dataset.summary.missing, ["gone.png"]);
    check_bad(
        &dataset,
        &[
            "c.json:1: images[1]: id is missing",
            "c.json:1: images[2]: id 1 is taken",
            "c.json:1: images[3]: expected an object",
            "c.json:2: images[6]: file_name is missing",
            "c.json:6: annotations[3]: bbox is -5 wide",
            "annotations[4]: bbox has 3 numbers",
            "annotations[5]: it has no bbox",
            "annotations[6]: bbox is not a list",
            "annotations[7]: expected an object",
            "annotations[8]: image_id is 1.5",
            "c.json:9: categories[1]: id 1 is taken",
            "categories[2]: name is missing",
            "annotations[1]: image_id 99",
            "annotations[2]: category_id 2",
            "images[4]: ... leaves the dataset's folder",
            "images[5]: '/etc/passwd' leaves",
            "c.json:8: annotations[9]: the object at x 500.0 ... outside its image",
        ],
    );
    let strict = ReadOptions { strict: true, ..ReadOptions::default() };
    let error = set.read_with("coco", "c.json", &strict).unwrap_err().to_string();
    assert!(error.contains("c.json:1: images[1]") && error.contains("--strict"), "{error}");
}

#[test]
fn broken_json_names_its_line() {
    let set = Set::new(&["a.png"]);
    let check = |text: &str, words: &str| {
        let error = set.write("c.json", text).read("coco", "c.json").unwrap_err().to_string();
        assert!(error.contains("c.json") && error.contains(words), "{error}");
    };
    check("{\"images\": [\n{\"id\": 1, ", "c.json:2: ");
    check("{\"images\": [\n{\"id\": NaN}]}", "c.json:2: ");
    check("[1, 2]", "expected an object with images");
    set.write("c.json", b"{\"images\": [\n{\"id\": 1, \"file_name\": \"caf\xe9.png\"}]}");
    for format in ["coco", "label-studio"] {
        set.write("l.json", b"[\n{\"data\": {\"image\": \"caf\xe9.png\"}}]");
        let file = if format == "coco" { "c.json" } else { "l.json" };
        let error = set.read(format, file).unwrap_err().to_string();
        assert!(error.contains(":2: the text is not UTF-8") && error.contains("iconv"), "{error}");
    }
    check("{\"images\": 7}", "a list of records");
    check("{}", "no list `images`");
    check("", "c.json:1: ");
    check(r#"{"images": [], "annotations": []}"#, "lists no image");
}

const YOLO_YAML: &str = "path: ../datasets/somewhere\ntrain: images/train\nval: [images/val, more.txt]\ntest:\nnc: 2\nnames:\n  0: car\n  1: 'tooth brush'\n";

#[test]
fn yolo_with_data_yaml_in_its_folder_conventions() {
    let set = Set::new(&["images/train/a #1.png", "images/train/b.png", "images/val/c.PNG", "extra/images/d.png"]);
    set.write("data.yaml", YOLO_YAML).write("more.txt", "./extra/images/d.png\n\n");
    set.write("labels/train/a #1.txt", "0 0.5 0.5 0.5 0.25\n\n1 0.1 0.1 0.3 0.1 0.3 0.5\n");
    set.write("labels/val/c.txt", "").write("extra/labels/d.txt", "1 0.5 0.5 1 1");
    let expected = "
        images/train/a #1.png [train]
          car 25 30 75 50
          tooth brush 10 8 30 40
        images/train/b.png [train]
        images/val/c.PNG [val]
        extra/images/d.png [val]
          tooth brush 0 0 100 80";
    for path in ["", "data.yaml"] {
        let dataset = set.read("yolo", path).unwrap();
        check(&dataset, expected);
        check_bad(&dataset, &[]);
    }

    let roboflow = Set::new(&["train/images/a.png", "valid/images/a.png"]);
    roboflow.write("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['x']");
    roboflow.write("train/labels/a.txt", "0 0.5 0.5 0.5 0.5").write("valid/labels/a.txt", "0 0.5 0.5 0.1 0.1");
    check(
        &roboflow.read("yolo", "").unwrap(),
        "train/images/a.png [train]\n x 25 20 75 60\n valid/images/a.png [val]\n x 45 36 55 44",
    );
}

#[test]
fn yolo_without_data_yaml_reads_classes_txt_and_labels_beside_images() {
    let set = Set::new(&["data/a.png", "data/b.png"]);
    set.write("classes.txt", "car\r\ntooth brush\r\n").write("data/a.txt", "1 0.5 0.5 0.5 0.5\r\n");
    let dataset = set.read("yolo", "").unwrap();
    check(&dataset, "data/a.png\n tooth brush 25 20 75 60\n data/b.png");
    assert_eq!(dataset.classes, ["car", "tooth brush"]);
    let nameless = Set::new(&["images/train/a.png"]);
    nameless.write("labels/train/a.txt", "2 0.5 0.5 0.5 0.5");
    let dataset = nameless.read("yolo", "").unwrap();
    check(&dataset, "images/train/a.png [train]\n 2 25 20 75 60");
    assert!(dataset.summary.warnings[0].contains("called by their numbers"), "{:?}", dataset.summary.warnings);
}

#[test]
fn bad_yolo_lines_are_told_with_file_and_line() {
    let set = Set::new(&["images/a.png", "images/b.png"]);
    set.write("data.yaml", "train: list.txt\nval: gone\nnames: [car]");
    set.write("list.txt", "images/a.png\nimages\\b.png\n../../x.png\n/etc/x.png\nimages/gone.png\n");
    set.write("labels/a.txt", "0 0.5 0.5 0.5 0.5\n0 50 50 10 10\n1 0.5 0.5 0.5 0.5\n0 0.5 0.5\n");
    let dataset = set.read("yolo", "").unwrap();
    check(&dataset, "images/a.png [train]\n car 25 20 75 60\n images/b.png [train]");
    assert_eq!(dataset.summary.missing, ["images/gone.png"]);
    check_bad(
        &dataset,
        &[
            "list.txt:3: '../../x.png' leaves",
            "list.txt:4: '/etc/x.png' leaves",
            "data.yaml: val: 'gone' does not exist",
            "a.txt:2: 50 is not between 0 and 1",
            "a.txt:3: class 1 has no name",
            "a.txt:4: expected `class x y width height`",
        ],
    );
}

fn voc(filename: &str, objects: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<annotation>\n<folder>x</folder>\n<filename>{filename}</filename>\n\
         <size><width>100</width><height>80</height><depth>3</depth></size>\n{objects}\n</annotation>\n"
    )
}

fn voc_object(class: &str, corners: [f64; 4], difficult: u8) -> String {
    let [x1, y1, x2, y2] = corners;
    format!(
        "<object><name>{class}</name><difficult>{difficult}</difficult>\
         <bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n"
    )
}

#[test]
fn voc_counts_pixels_from_one_and_both_corners_belong_to_the_object() {
    let set = Set::new(&["JPEGImages/a.png", "JPEGImages/b & c.png", "JPEGImages/old.png", "JPEGImages/left.png"]);
    let objects = voc_object("car", [1.0, 1.0, 100.0, 80.0], 0) + &voc_object("a &amp; b", [11.0, 21.0, 20.0, 30.0], 1);
    set.write("Annotations/a.xml", voc("a.png", &objects)).write("Annotations/b & c.xml", voc("b &amp; c.png", ""));
    set.write("Annotations/old.xml", voc("its name before.png", ""));
    set.write("ImageSets/Main/train.txt", "a\n").write("ImageSets/Main/val.txt", "b & c\n");
    set.write("ImageSets/Main/car_train.txt", "a  1\n").write("ImageSets/Main/trainval.txt", "a\nb & c\n");
    let expected = "
        JPEGImages/a.png [train]
          car 0 0 100 80
          a & b 10 20 20 30 ignored
        JPEGImages/b & c.png [val]
        JPEGImages/old.png";
    for path in ["", "Annotations"] {
        let dataset = set.read("voc", path).unwrap();
        if path.is_empty() {
            check(&dataset, expected);
            assert!(
                dataset.summary.warnings[0].contains("1 image in JPEGImages/ has"),
                "{:?}",
                dataset.summary.warnings
            );
        }
        check_bad(&dataset, &[]);
    }
    let origin_0 = ReadOptions { voc_origin: 0, split: Some("train".into()), ..ReadOptions::default() };
    check(
        &set.read_with("voc", "", &origin_0).unwrap(),
        "JPEGImages/a.png [train]\n car 1 1 101 81\n a & b 11 21 21 31 ignored",
    );
}

#[test]
fn bad_voc_records_are_told_with_file_and_line() {
    let set = Set::new(&["JPEGImages/a.png"]);
    let objects = voc_object("car", [5.0, 5.0, 4.0, 9.0], 0)
        + "<object><name> </name></object>\n<object><name>x</name></object>\n"
        + &voc_object("car", [f64::NAN, 1.0, 9.0, 9.0], 0)
        + &voc_object("car", [1.0, 1.0, 9.0, 9.0], 0);
    set.write("Annotations/a.xml", voc("a.png", &objects));
    set.write("Annotations/b.xml", "<annotation>\n<object>\n<name>car</wrong></object></annotation>");
    set.write("Annotations/c.xml", "<annotation><filename>../../c.png</filename></annotation>");
    set.write(
        "Annotations/d.xml",
        "<!DOCTYPE a [<!ENTITY x \"aaaa\">]>\n<annotation>\n<filename>&x;</filename></annotation>",
    );
    set.write("Annotations/e.xml", "<annotation>\n<filename>a.png</filename>\n");
    set.write("Annotations/f.xml", b"<annotation><filename>\xFF</filename></annotation>");
    set.write("Annotations/g.xml", "<html/>").write("Annotations/h.xml", "");
    set.write("ImageSets/Main/train.txt", "a\ngone\n");
    let dataset = set.read("voc", "").unwrap();
    check(&dataset, "JPEGImages/a.png [train]\n car 0 0 9 9");
    check_bad(
        &dataset,
        &[
            "a.xml:6: the corners 5, 5 and 4, 9",
            "a.xml:7: the object has no <name>",
            "a.xml:8: 'x' has no <bndbox>",
            "a.xml:9: xmin is 'NaN'",
            "b.xml:3: ",
            "c.xml: '../../c.png' leaves",
            "d.xml:3: the entity &x; is not expanded",
            "e.xml:3: the file ends before </annotation>",
            "f.xml:1: the text is not UTF-8",
            "g.xml:1: expected <annotation>",
            "h.xml:1: the file holds no element",
            "train.txt:2: 'gone' has no XML file",
        ],
    );
}

#[test]
fn wider_face_has_a_line_of_zeros_where_there_is_no_face() {
    let set = Set::new(&[
        "WIDER_train/images/0--Parade/a.png",
        "WIDER_train/images/0--Parade/b.png",
        "WIDER_val/images/1/a.png",
    ]);
    set.write(
        "wider_face_split/wider_face_train_bbx_gt.txt",
        "0--Parade/a.png\n4\n10 20 30 40 0 0 0 0 0 0 \n1 2 3 4 0 0 0 1 0 0\n5 5 0 0 0 0 0 0 0 0\n1 1 x 1 0 0 0 0 0 0\n\
         0--Parade/b.png\n0\n0 0 0 0 0 0 0 0 0 0 \n0--Parade/gone.png\n1\n1 1 9 9 0 0 0 0 0 0\n",
    );
    set.write("wider_face_split/wider_face_val_bbx_gt.txt", "1/a.png\r\n0\r\n");
    set.write("wider_face_split/wider_face_test_filelist.txt", "0--Parade/x.png\n");
    let expected = "
        WIDER_train/images/0--Parade/a.png [train]
          face 10 20 40 60
          face 1 2 4 6 ignored
        WIDER_train/images/0--Parade/b.png [train]
        WIDER_val/images/1/a.png [val]";
    let dataset = set.read("wider", "").unwrap();
    check(&dataset, expected);
    check_bad(&dataset, &["train_bbx_gt.txt:5: the box is 0 wide", "train_bbx_gt.txt:6: 'x' is not a finite number"]);
    assert_eq!(dataset.summary.missing, ["WIDER_train/images/0--Parade/gone.png"]);
    set.write("wider_face_split/wider_face_val_bbx_gt.txt", "1/a.png\nmany\n");
    let strict = ReadOptions { strict: true, split: Some("val".into()), ..ReadOptions::default() };
    let error = set.read_with("wider", "", &strict).unwrap_err().to_string();
    assert!(error.contains("val_bbx_gt.txt:2: expected the number of faces of '1/a.png', found 'many'"), "{error}");
}

/// Imports a list of WIDER FACE, its lines separated by `|`; returns the images with their number of faces, and the bad records.
fn wider(images: &[&str], list: &str) -> (Vec<(String, usize)>, Vec<String>) {
    let images: Vec<String> = images.iter().map(|image| format!("WIDER_val/images/{image}.png")).collect();
    let set = Set::new(&images.iter().map(String::as_str).collect::<Vec<_>>());
    set.write("wider_face_split/wider_face_val_bbx_gt.txt", list.replace('|', "\n"));
    let dataset = set.read("wider", "").unwrap();
    let name = |name: &str| name.trim_start_matches("WIDER_val/images/").trim_end_matches(".png").to_owned();
    (dataset.images.iter().map(|image| (name(&image.name), image.objects.len())).collect(), bad(&dataset))
}

/// Names without an extension may look like faces or counts; a wrong or missing count costs one record.
#[test]
fn wider_face_with_names_of_numbers() {
    let check = |images: &[&str], list: &str, expected: &[(&str, usize)], problems: &[&str]| {
        let face = "10 10 50 60 0 0 0 0 0 0";
        let (read, found) = wider(images, &list.replace('F', face));
        let expected: Vec<(String, usize)> = expected.iter().map(|&(name, faces)| (name.to_owned(), faces)).collect();
        assert_eq!(read, expected, "{list}: {found:?}");
        assert_eq!(found.len(), problems.len(), "{list}: {found:?}");
        assert!(found.iter().zip(problems).all(|(found, part)| found.contains(part)), "{list}: {found:?}");
    };
    for name in ["2024 05 17 093012", "1 2 3 4 5", "10 10 0.5 100 100 1"] {
        let of = |list: &str| list.replace('N', name);
        check(&["3", name], &of("3|0|N|1|F"), &[("3", 0), (name, 1)], &[]);
        check(&["3", name], &of("3|0|0 0 0 0|N|0"), &[("3", 0), (name, 0)], &[]);
        check(&["3", name], &of("3|1|F|F|N|1|F"), &[("3", 1), (name, 1)], &[":4: "]);
        check(&["3", name], &of("3|2|F|N|1|F"), &[("3", 1), (name, 1)], &[":2: '3' has fewer"]);
        check(&["3", name, "5"], &of("3|1|F|N|2|F|5|1|F"), &[("3", 1), (name, 1), ("5", 1)], &[":5: "]);
        // The image is missing: its faces are not those of the image before it.
        check(&["3"], &of("3|1|F|N|1|F"), &[("3", 1)], &[]);
    }
    check(&["3", "5"], "3|1|F|5|1|F", &[("3", 1), ("5", 1)], &[]);
    check(&["3"], "3|1|F|5|1|F", &[("3", 1)], &[]);
    check(&["5", "6", "7"], "5|F|6|1|F|7|0", &[("6", 1), ("7", 0)], &[":2: expected the number of faces of '5'"]);
    check(&["5", "6", "7"], "5|6|1|F|7|0", &[("6", 1), ("7", 0)], &[":2: expected the number of faces of '5'"]);
    check(&["a", "b", "c"], "a|many|F|b|1|F|c.png|0", &[("b", 1), ("c", 0)], &[":2: expected the number of faces"]);
    check(&["a", "b"], "a|b|1|F", &[("b", 1)], &[":2: expected the number of faces of 'a', found 'b'"]);
    check(&["a", "b", "c"], "a.png|b.png|c.png|1|F", &[("c", 1)], &[":2: expected", ":3: expected"]);
}

#[test]
fn cvat_boxes_ellipses_polygons_and_subsets() {
    let set = Set::new(&["images/Train/a.png", "images/b.png"]);
    set.write(
        "annotations.xml",
        r#"<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>bus</name><attributes><attribute><name>colour</name></attribute></attributes></label>
    <label><name>car</name></label></labels></task></meta>
  <image id="0" name="a.png" subset="Train" width="100" height="80">
    <box label="car" source="manual" occluded="1" xtl="10" ytl="20.5" xbr="40" ybr="60" z_order="0">
      <attribute name="ignored">true</attribute></box>
    <box label="car" xtl="20" ytl="30" xbr="60" ybr="50" rotation="90.0"/>
    <ellipse label="bus" cx="50" cy="40" rx="20" ry="10" rotation="90"/>
    <polygon label="bus" points="1,2;9,2;9,8"/>
    <points label="car" points="1,2"/>
  </image>
  <image id="1" name="b.png" width="100" height="80">
    <box label="car" xtl="x" ytl="1" xbr="9" ybr="9"/>
    <box xtl="1" ytl="1" xbr="9" ybr="9"/>
    <box label="car" xtl="9" ytl="1" xbr="1" ybr="9"/>
    <polygon label="car" points="1,2;3"/>
  </image>
  <image id="2" name="../../c.png"/>
</annotations>"#,
    );
    let dataset = set.read("cvat", "").unwrap();
    check(
        &dataset,
        "images/Train/a.png [Train]
           car 10 20.5 40 60 ignored
           car 30 20 50 60
           bus 40 20 60 60 ellipse
           bus 1 2 9 8
         images/b.png",
    );
    assert_eq!(dataset.classes, ["bus", "car"]);
    assert!(dataset.summary.warnings[0].contains("1 points"), "{:?}", dataset.summary.warnings);
    check_bad(
        &dataset,
        &[
            "annotations.xml:15: xtl of <box> is 'x'",
            "annotations.xml:16: <box> has no attribute label",
            "annotations.xml:17: the corners 9, 1 and 1, 9",
            "annotations.xml:18: '3' of points",
            "annotations.xml:20: '../../c.png' leaves",
        ],
    );
    let error =
        set.write("annotations.xml", "<annotations>\n<track id=\"0\"/></annotations>").read("cvat", "").unwrap_err();
    assert!(error.to_string().contains("annotations.xml:2: this is CVAT's format for videos"), "{error}");
}

#[test]
fn label_studio_in_percent_and_labelme_in_pixels() {
    let set = Set::new(&["images/a b.png", "images/c.png"]);
    set.write(
        "export.json",
        r#"[{"id": 1, "data": {"image": "/data/upload/1/1a2b3c4d-a%20b.png"}, "annotations": [{"result": [
              {"type": "rectanglelabels", "original_width": 100, "original_height": 80,
               "value": {"x": 10, "y": 50, "width": 20, "height": 25, "rotation": 0, "rectanglelabels": ["car"]}},
              {"type": "ellipselabels", "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["face"]}},
              {"type": "choices", "value": {"choices": ["x"]}},
              {"type": "rectanglelabels", "value": {"x": 10, "y": "?", "width": 20, "height": 25, "rectanglelabels": ["car"]}}]}]},
            {"id": 2, "image": "s3://bucket/c.png", "label": [{"x": 0, "y": 0, "width": 100, "height": 100, "rectanglelabels": ["car"]}]},
            {"id": 3}]"#,
    );
    let dataset = set.read("label-studio", "").unwrap();
    check(&dataset, "images/a b.png\n car 10 40 30 60\n face 40 24 60 56 ellipse\n images/c.png\n car 0 0 100 80");
    check_bad(&dataset, &["export.json:1: tasks[0]: region 3: y is", "export.json:8: tasks[2]: its data has no image"]);

    let set = Set::new(&["a.png", "images/b.png"]);
    set.write(
        "a.json",
        r#"{"version": "5.0.1", "flags": {}, "shapes": [
            {"label": "car", "points": [[40, 60], [10, 20]], "shape_type": "rectangle", "flags": {}},
            {"label": "ball", "points": [[50, 40], [53, 44]], "shape_type": "circle", "flags": {"difficult": true}},
            {"label": "bus", "points": [[1, 2], [9, 2], [9, 8]], "shape_type": "polygon"},
            {"label": "bus", "points": [[1, 2]], "shape_type": "point"}, {"label": "bus", "points": [[1, 2]]}, {"points": []}],
           "imagePath": "a.png", "imageData": "AAAA", "imageHeight": 80, "imageWidth": 100}"#,
    );
    set.write("labels/b.json", r#"{"shapes": [], "imagePath": "..\\images\\b.png"}"#)
        .write("labels/c.json", "{\n\"shapes\": [");
    let dataset = set.read("labelme", "").unwrap();
    check(&dataset, "a.png\n car 10 20 40 60\n ball 45 35 55 45 ellipse ignored\n bus 1 2 9 8\n images/b.png");
    check_bad(
        &dataset,
        &["a.json:5: shapes[4]: a polygon has at least 3", "a.json:5: shapes[5]: it has no label", "c.json:2: "],
    );
    assert!(dataset.summary.warnings[0].contains("1 point"), "{:?}", dataset.summary.warnings);
}

#[test]
fn the_format_of_a_path_is_found_with_its_reason() {
    let check = |set: &Set, path: &str, format: &str, words: &str| {
        let (found, why) = recognise(&set.path(path)).unwrap();
        assert_eq!(found.name(), format, "{why}");
        assert!(why.contains(words), "{why}");
    };
    let coco = Set::new(&["a.png"]);
    coco.write("annotations/instances_val.json", COCO);
    check(&coco, "", "coco", "annotations/instances_val.json");
    check(&coco, "annotations/instances_val.json", "coco", "JSON");
    let yolo = Set::new(&["images/a.png"]);
    yolo.write("labels/a.txt", "0 0.5 0.5 0.1 0.1");
    check(&yolo, "", "yolo", "labels has text labels");
    yolo.write("data.yaml", "names: [a]\ntrain: images");
    check(&yolo, "", "yolo", "data.yaml");
    check(&yolo, "data.yaml", "yolo", "data.yaml");
    let voc_set = Set::new(&["JPEGImages/a.png"]);
    voc_set.write("Annotations/a.xml", voc("a.png", ""));
    check(&voc_set, "", "voc", "Annotations/a.xml");
    let wider = Set::new(&["a.png"]);
    wider.write("wider_face_split/wider_face_val_bbx_gt.txt", "a.png\n0\n");
    check(&wider, "", "wider", "wider_face_val_bbx_gt.txt");
    let cvat = Set::new(&["a.png"]);
    cvat.write("annotations.xml", "<annotations></annotations>");
    check(&cvat, "", "cvat", "annotations.xml");
    let studio = Set::new(&["a.png"]);
    studio.write("x.json", r#"[{"data": {"image": "a.png"}}]"#);
    check(&studio, "", "label-studio", "x.json");
    let labelme = Set::new(&["a.png"]);
    labelme.write("a.json", r#"{"shapes": []}"#);
    check(&labelme, "", "labelme", "a.json");
    let fddb = Set::new(&["originalPics/a.png"]);
    fddb.write("FDDB-folds/FDDB-fold-01.txt", "");
    check(&fddb, "", "fddb", "FDDB-folds/");
    check(&Set::new(&["x/y/a.png"]), "", "folder", "images");
    let error = recognise(&Set::new(&[]).path("")).err().unwrap().to_string();
    assert!(error.contains("none of the formats") && error.contains("label-studio"), "{error}");
    assert!(recognise(&coco.path("gone")).is_err());
}

/// Images next to annotations in UTF-16 are not a folder without objects.
#[test]
fn annotations_in_utf16_are_told_whatever_the_format() {
    let utf16 = |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (file, text) in [
        ("annotations/instances_val.json", COCO),
        ("train/_annotations.coco.json", COCO),
        ("x.json", r#"[{"data": {"image": "a.png"}}]"#),
        ("annotations.xml", "<annotations></annotations>"),
        ("a.xml", "<annotation></annotation>"),
        ("data.yaml", "names: [a]\ntrain: images"),
        ("wider_face_val_bbx_gt.txt", "a.png\n0\n"),
    ] {
        let set = Set::new(&["a.png", "train/b.png"]);
        set.write(file, utf16(text));
        for path in ["", file] {
            let message = match recognise(&set.path(path)) {
                Err(error) => error.to_string(),
                // Detected by its name: the reader reports it.
                Ok((format, _)) => set.read(format.name(), path).unwrap_err().to_string(),
            };
            let name = file.rsplit('/').next().unwrap();
            assert!(message.contains(name) && message.contains("UTF-16"), "{file}, {path:?}: {message}");
            assert!(message.contains("iconv -f UTF-16 -t UTF-8"), "{message}");
        }
    }
}

/// Returns the result of importing `file` in `format`: objects, bad records and warnings, one per line.
fn read_as(format: &str, images: &[&str], file: &str, text: &str) -> String {
    let set = Set::new(images);
    let read = set.write(file, text).read(format, if ["yolo", "voc", "labelme"].contains(&format) { "" } else { file });
    match read {
        Ok(dataset) => {
            let lines = [bad(&dataset), dataset.summary.warnings.clone()].concat();
            format!("{}{}", crate::support::text(&dataset), lines.join("\n"))
        }
        Err(error) => error.to_string(),
    }
}

/// The box around a rotated needle is wide and high: its own sides count.
#[test]
fn rotated_shapes_a_hundredth_of_a_pixel_thin_are_bad_records() {
    let check = |format: &str, file: &str, text: &dyn Fn(f64) -> String| {
        for (thickness, is_kept) in [(0.01, false), (2.0, true)] {
            let set = Set::new(&["a.png"]);
            set.write("classes.txt", "car\n").write(file, text(thickness));
            let dataset = set.read(format, "").unwrap();
            let found = crate::support::text(&dataset) + &bad(&dataset).join("\n");
            let is_told = found.contains("x 0.010 pixels: each side must be at least 0.5");
            assert_eq!((found.contains("  car "), is_told), (is_kept, !is_kept), "{format}: {found}");
        }
    };
    let cvat = |shape: String| format!(r#"<annotations><image name="a.png">{shape}</image></annotations>"#);
    check("cvat", "a.xml", &|thickness| {
        let ry = thickness / 2.0;
        cvat(format!(r#"<ellipse label="car" cx="50" cy="40" rx="25" ry="{ry}" rotation="30"/>"#))
    });
    check("cvat", "a.xml", &|thickness| {
        let end = 40.0 + thickness;
        cvat(format!(r#"<box label="car" xtl="25" ytl="40" xbr="75" ybr="{end}" rotation="45"/>"#))
    });
    check("voc", "a.xml", &|thickness| {
        let turned = format!("<cx>50</cx><cy>40</cy><w>50</w><h>{thickness}</h><angle>0.8</angle>");
        format!("<annotation><object><name>car</name><robndbox>{turned}</robndbox></object></annotation>")
    });
    check("label-studio", "a.json", &|thickness| {
        let region = format!(
            r#"{{"x": 20, "y": 20, "width": 50, "height": {}, "rotation": 45, "rectanglelabels": ["car"]}}"#,
            thickness / 0.8
        );
        format!(r#"[{{"data": {{"image": "a.png"}}, "annotations": [{{"result": [{{"value": {region}}}]}}]}}]"#)
    });
    let corners = |thickness: f64| {
        let t = thickness / 2f64.sqrt();
        [[20.0, 20.0], [50.0, 50.0], [50.0 - t, 50.0 + t], [20.0 - t, 20.0 + t]]
    };
    check("labelme", "a.json", &|thickness| {
        let points = corners(thickness);
        format!(r#"{{"shapes": [{{"label": "car", "shape_type": "rotation", "points": {points:?}}}]}}"#)
    });
    check("yolo", "a.txt", &|thickness| {
        let [a, b, c, d] = corners(thickness).map(|[x, y]| format!("{} {}", x / 100.0, y / 80.0));
        format!("0 {a} {b} {c} {d}")
    });
}

/// Files of other tools and for other tasks: their boxes are read, and everything skipped is reported.
#[test]
fn what_other_tools_write_is_read_or_told() {
    let yaml = "train: images\nnames: [car, car]\n";
    let check = |format: &str, images: &[&str], file: &str, text: &str, expected: &[&str]| {
        let found = read_as(format, images, file, text);
        for part in expected {
            assert!(found.contains(part), "no {part:?} in what {format} gives of {text}:\n{found}");
        }
    };
    check("yolo", &["images/a.png"], "data.yaml", yaml, &["Classes 0 and 1 are both called 'car'"]);
    let windows = "path: C:\\Users\\me\\set\ntrain: C:\\Users\\me\\set\\train\\images\nval: /home/me/set/valid/images\nnames: [car]\n";
    check(
        "yolo",
        &["train/images/a.png", "valid/images/b.png"],
        "data.yaml",
        windows,
        &["a.png [train]", "b.png [val]"],
    );

    let coco = |image: &str, annotations: &str| {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "{image}", "width": 100, "height": 80}}],
                "categories": [{{"id": 1, "name": "car"}}, {{"id": 7, "name": "car "}}], "annotations": [{annotations}]}}"#
        )
    };
    let object = r#"{"image_id": 1, "category_id": 7, "bbox": [60, 50, 90, 70]}"#;
    let a = &["a.png", "images/train/b.png"];
    check(
        "coco",
        a,
        "c.json",
        &coco("a.png", object),
        &[
            "car 60 50 150 120",
            "categories 1 and 7 are both called 'car'",
            "1 of 1 boxes reach beyond their image, and would not if bbox were two corners",
        ],
    );
    for absolute in ["/home/me/set/images/train/b.png", r"D:\\set\\images\\train\\b.png", r"C:\\b.png"] {
        let text = coco(absolute, object);
        let path = if absolute.starts_with("C:") { "leaves" } else { "images/train/b.png\n" };
        check("coco", a, "c.json", &text, &[path]);
    }
    let panoptic =
        r#"{"image_id": 1, "file_name": "a.png", "segments_info": [{"category_id": 1, "bbox": [1, 1, 5, 5]}]}"#;
    check("coco", a, "c.json", &coco("a.png", panoptic), &["holds panoptic segments: import COCO's file of instances"]);
    check("coco", a, "c.json", &coco("a.png", r#"{"image_id": 1, "caption": "x"}"#), &["holds captions"]);
    check(
        "coco",
        a,
        "c.json",
        r#"{"categories": {"label": []}, "items": []}"#,
        &["a list of records, as in COCO's files"],
    );

    let polygon = "<object><name>car</name><polygon><x1>10</x1><y1>20</y1><x2>50</x2><y2>22</y2><x3>30</x3><y3>60</y3></polygon></object>";
    let points = "<object><name>car</name><polygon><pt><x>10</x><y>20</y></pt><pt><x>5</x><y>6</y></pt><pt><x>8</x><y>9</y></pt></polygon></object>";
    let turned = "<object><name>bus</name><robndbox><cx>51</cx><cy>41</cy><w>40</w><h>20</h><angle>1.5707963267948966</angle></robndbox></object>";
    let short = "<object><name>bus</name><polygon><x1>1</x1><y1>2</y1></polygon></object>";
    check(
        "voc",
        &["JPEGImages/a.png"],
        "Annotations/a.xml",
        &voc("a.png", &[polygon, points, turned, short].concat()),
        &["car 9 19 50 60", "car 4 5 10 20", "bus 40 20 60 60", "a polygon has at least 3 points, found 1 x and 1 y"],
    );
    check(
        "voc",
        &["JPEGImages/a.png"],
        "Annotations/a.xml",
        &voc(r"C:\set\JPEGImages\a.png", ""),
        &["JPEGImages/a.png"],
    );

    let task = |rest: &str| format!(r#"[{{"data": {{"image": "a.png"}}, {rest}}}]"#);
    let brush = r#""annotations": [{"result": [{"type": "brushlabels", "value": {"rle": [1], "brushlabels": ["car"]}},
        {"type": "keypointlabels", "value": {"x": 1, "y": 2, "keypointlabels": ["nose"]}}]}]"#;
    check(
        "label-studio",
        a,
        "t.json",
        &task(brush),
        &["Skipped regions without a box: 1 brushlabels, 1 keypointlabels."],
    );
    let predicted = r#""annotations": [], "predictions": [{"result": []}]"#;
    check("label-studio", a, "t.json", &task(predicted), &["1 task has predictions and no annotation"]);
    let createml = r#""annotations": [{"label": "car", "coordinates": {"x": 10, "y": 10, "width": 5, "height": 5}}]"#;
    check("label-studio", a, "t.json", &task(createml), &["its annotation has no `result`"]);

    let labelme = |path: &str| format!(r#"{{"imagePath": "{path}", "shapes": []}}"#);
    check("labelme", &["a.png"], "x.json", &labelme(r"C:\\data\\a.png"), &["a.png\n"]);
    check("labelme", &["a.png"], "x.json", &labelme(r"..\\..\\data\\a.png"), &["a.png\n"]);
    check("labelme", &["a.png"], "x.json", &labelme(r"C:\\data\\b.png"), &["leaves the dataset's folder"]);
}

#[test]
fn an_import_that_is_stopped_before_its_file_is_read_is_cancelled() {
    let set = Set::new(&["a.png"]);
    set.write("c.json", COCO).write("x.json", r#"[{"data": {"image": "a.png"}}]"#).write("a.xml", voc("a.png", ""));
    set.write("cvat.xml", "<annotations><image name=\"a.png\" width=\"100\" height=\"80\"></image></annotations>");
    let stopped = Cancel::new();
    stopped.cancel();
    for (format, file) in [("coco", "c.json"), ("label-studio", "x.json"), ("voc", "a.xml"), ("cvat", "cvat.xml")] {
        let format = quarry::dataset::formats::format_named(format).unwrap();
        let read = format.read(&set.path(file), &ReadOptions::default(), &mut |_| {}, &stopped);
        assert!(matches!(read, Err(quarry::dataset::DatasetError::Cancelled)), "{}: {read:?}", format.name());
    }
}

/// Images without known annotations, and files that may contain some in an unknown form.
#[test]
fn a_folder_with_unknown_annotations_is_told() {
    let told = |file: &str| {
        let set = Set::new(&["image_2/a.png"]);
        set.write(file, "Car 0.00 0 -1.57 10 10 60 50 1.5 1.6 3.9 0 0 0 0\n");
        let options = ReadOptions::default();
        let read = read_auto(&set.path(""), &options, &mut |_| {}, &Cancel::new()).unwrap();
        (read.kind, read.summary.warnings.join(" "))
    };
    let (kind, warnings) = told("label_2/a.txt");
    assert!(kind == "folder" && warnings.contains("label_2/a.txt"), "{kind}: {warnings}");
    let (kind, warnings) = told("notes.md");
    assert!(kind == "folder" && !warnings.contains("annotations"), "{kind}: {warnings}");
}

/// A JPEG of 24 x 16 stored pixels with this EXIF orientation.
fn turned_jpeg(orientation: u8) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(24, 16).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    with_orientation(&jpeg.into_inner(), orientation)
}

#[test]
fn coordinates_on_stored_pixels_are_turned_upright() {
    let set = Set::new(&[]);
    set.write("a.jpg", turned_jpeg(6));
    let check =
        |size: &str, rule: ExifRule, expected: &str| {
            set.write("c.json", format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.jpg"{size}}}], "categories": [{{"id": 1, "name": "car"}}],
               "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [2, 4, 6, 3]}}]}}"#));
            let dataset =
                set.read_with("coco", "c.json", &ReadOptions { exif: rule, ..ReadOptions::default() }).unwrap();
            check(&dataset, expected);
        };
    let (upright, turned) = ("a.jpg\n car 2 4 8 7", "a.jpg\n car 9 2 12 8");
    check(r#", "width": 24, "height": 16"#, ExifRule::Auto, turned);
    check(r#", "width": 16, "height": 24"#, ExifRule::Auto, upright);
    check("", ExifRule::Auto, upright);
    check("", ExifRule::Ignore, turned);
    check(r#", "width": 24, "height": 16"#, ExifRule::Apply, upright);
}
