//! Finds circles in a directed graph.

/// The groups of more than one node that reach each other, each in the order of the nodes.
pub fn circles(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let reachable: Vec<Vec<bool>> = (0..nodes).map(|node| reach(node, nodes, edges)).collect();
    let reaches = |one: usize, other: usize| {
        reachable.get(one).and_then(|row| row.get(other)).copied().unwrap_or(false)
    };
    let mut circles: Vec<Vec<usize>> = Vec::new();
    for node in 0..nodes {
        let group: Vec<usize> =
            (node..nodes).filter(|other| reaches(node, *other) && reaches(*other, node)).collect();
        let is_known = circles.iter().flatten().any(|member| *member == node);
        if !is_known && group.len() > 1 {
            circles.push(group);
        }
    }
    circles
}

/// The nodes that can be reached from one node.
fn reach(from: usize, nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut seen = vec![false; nodes];
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for (_, to) in edges.iter().filter(|(start, _)| *start == node) {
            if let Some(is_seen) = seen.get_mut(*to)
                && !std::mem::replace(is_seen, true)
            {
                open.push(*to);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_a_chain_is_none() {
        assert_eq!(circles(4, &[(0, 1), (1, 2), (2, 1), (2, 3)]), [[1, 2]]);
        assert!(circles(3, &[(0, 1), (1, 2), (0, 2)]).is_empty());
    }

    #[test]
    fn a_circle_over_many_nodes_is_one_group() {
        assert_eq!(circles(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]), [[0, 1, 2, 3, 4]]);
    }
}
